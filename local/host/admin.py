"""The /admin endpoints. Source: Azure/azure-functions-host, src/WebJobs.Script.WebHost/Controllers."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from local.host.http_messages import as_json, request_from_input
from local.host.indexing import Function
from local.host.invoke import Invocation
from local.host.keys import AccessLevel
from local.host.lifecycle import FunctionsHost, HostState
from local.host.servicebus_messages import message_from_input
from local.host.settings import is_disabled
from local.host.timers import argument_of_manual_run

_HOST_VERSION = "4.1037.0.0"  # the version of the sources that this host follows


class AdminEndpoints:
    """Answers everything below /admin. With `secured` all but ping and warmup need the master key."""

    def __init__(self, host: FunctionsHost, *, secured: bool) -> None:
        self._host = host
        self._secured = secured
        self._background: set[asyncio.Task[Any]] = set()

    async def handle(self, request: web.BaseRequest, _headers: Mapping[str, str], access: AccessLevel) -> web.Response:
        """The answer to `request`, whose caller has `access`."""
        path = [unquote(part) for part in request.raw_path.partition("?")[0].strip("/").split("/")][1:]
        lowered = tuple(part.lower() for part in path)
        if lowered in {("host", "ping"), ("warmup",)}:
            return web.Response()
        if self._secured and access is not AccessLevel.ADMIN:
            return web.Response(status=401 if access is AccessLevel.ANONYMOUS else 403)
        if lowered[0] == "host":
            return await self._host_endpoint(request.method, lowered[1:])
        if lowered == ("functions",) and request.method == "GET":
            return as_json([self._describe(request, function) for function in self._host.functions])
        if lowered[0] == "functions" and len(path) > 1:
            return await self._function(request, path[1], lowered[2:])
        return web.Response(status=404)

    async def _host_endpoint(self, method: str, path: tuple[str, ...]) -> web.Response:
        match method, path:
            case "GET", ("status",):
                return as_json(self._status())
            case "POST", ("drain",):
                return self._drain()
            case "GET", ("drain", "status"):
                return as_json(self._drain_status())
            case "POST", ("resume",):
                return await self._resume()
            case "POST", ("synctriggers",):
                return as_json({"status": "success"})
            case _:
                return web.Response(status=404)

    def _status(self) -> dict[str, Any]:
        host = self._host
        status: dict[str, Any] = {
            "id": host.id,
            "state": host.state.value,
            "version": _HOST_VERSION,
            "versionDetails": f"{_HOST_VERSION} (local host in Python {platform.python_version()})",
            "instanceId": os.environ["WEBSITE_INSTANCE_ID"],
            "computerName": platform.node(),
            "processUptime": int((time.monotonic() - host.started_at) * 1000),
            "functionAppContentEditingState": "NotAllowed",
        }
        if host.start_error is not None:
            status["errors"] = [str(host.start_error)]
        if host.config.extension_bundle:
            status["extensionBundle"] = dict(host.config.extension_bundle)
        return status

    def _drain(self) -> web.Response:
        if self._host.state is not HostState.RUNNING:
            return web.Response(status=503)
        self._in_background(self._host.drain())
        return web.Response(status=202)

    def _drain_status(self) -> dict[str, Any]:
        return {
            "state": self._host.drain_state.value,
            "outstandingInvocations": self._host.invoker.in_flight,
            "outstandingRetries": 0,
        }

    async def _resume(self) -> web.Response:
        if self._host.state is not HostState.RUNNING:
            return web.Response(status=409)
        await self._host.resume()
        return as_json({"state": self._host.state.value})

    async def _function(self, request: web.BaseRequest, name: str, rest: tuple[str, ...]) -> web.Response:
        function = self._host.find(name)
        if function is None:
            return web.Response(status=404)
        match request.method, rest:
            case "GET", ():
                return as_json(self._describe(request, function))
            case "GET", ("status",):
                error = self._host.function_errors.get(function.name)
                return as_json({"errors": [error]} if error else {})
            case "POST", ():
                return await self._invoke(request, function)
            case _:
                return web.Response(status=404)

    async def _invoke(self, request: web.BaseRequest, function: Function) -> web.Response:
        """Run `function` in the background with the body's `input` in place of its trigger's value."""
        try:
            value = json.loads(await request.read()).get("input") or ""
        except (ValueError, AttributeError):
            return web.Response(status=400)
        text = value if isinstance(value, str) else json.dumps(value)
        match function.trigger_type:
            case "timerTrigger":
                argument: Any = argument_of_manual_run()
            case "serviceBusTrigger":
                argument = message_from_input(function, text)
            case _:
                argument = request_from_input(str(request.url), text)
        call = Invocation({function.trigger["name"]: argument})
        self._in_background(self._host.invoker.invoke(function, call))
        return web.Response(status=202)

    def _in_background(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _describe(self, request: web.BaseRequest, function: Function) -> dict[str, Any]:
        base = f"{request.scheme}://{request.host}"
        href = f"{base}/admin/functions/{function.name}"
        route = next((route for route in self._host.routes if route.function is function), None)
        return {
            "name": function.name,
            "script_root_path_href": f"{base}/admin/vfs/{function.name}/",
            "script_href": f"{base}/admin/vfs/{function.script_file}",
            "config_href": f"{base}/admin/vfs/{function.name}/function.json",
            "test_data_href": None,
            "href": href,
            "invoke_url_template": f"{base}/{route.template.text}" if route else None,
            "language": "python",
            "config": {"scriptFile": function.script_file, "bindings": list(function.bindings)},
            "files": None,
            "test_data": None,
            "isDisabled": is_disabled(function.name, os.environ),
            "isDirect": function.trigger_type == "httpTrigger",
            "isProxy": False,
        }
