"""The HTTP side of the host: from a request to a function, a file, an admin endpoint or the home page.

Order as in the real pipeline (Azure/azure-functions-host, WebJobsApplicationBuilderExtension): body limit, CORS,
/admin, availability, routing, authorisation, disabled, invocation.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from aiohttp import web

from local.host.context import new_trace_context
from local.host.cors import Cors
from local.host.http_messages import function_request, function_response, joined_headers, joined_query, logger
from local.host.indexing import Function
from local.host.invoke import Invocation
from local.host.keys import AccessLevel, KeyStore, presented_key
from local.host.lifecycle import FunctionsHost, HostState
from local.host.settings import is_disabled
from local.host.static import StaticFiles

DEFAULT_BODY_LIMIT = 104_857_600  # bytes; ScriptConstants.DefaultMaxRequestBodySize
_START_WAIT = 30.0  # seconds that a request waits for a starting host
_DISABLE_HOME_PAGE = "AzureWebJobsDisableHomepage"
_HOME_PAGE = (
    "<!DOCTYPE html><html><head><meta charset='utf-8'><title>Azure Functions</title></head>"
    "<body><h1>Your Functions 4.0 app is up and running</h1></body></html>"
)


class PayloadTooLargeError(Exception):
    """The request's body is longer than the limit."""


@dataclass(frozen=True, slots=True)
class FrontendOptions:
    """What the command line and the settings say about serving."""

    cors: Cors
    keys: KeyStore | None
    static: StaticFiles | None
    body_limit: int = DEFAULT_BODY_LIMIT


class HttpFrontend:
    """Answers every request of the host."""

    def __init__(
        self,
        host: FunctionsHost,
        options: FrontendOptions,
        admin: Callable[[web.BaseRequest, Mapping[str, str], AccessLevel], Awaitable[web.Response]],
    ) -> None:
        self._host = host
        self._options = options
        self._admin = admin
        self._waiting = 0
        self._slots: asyncio.Semaphore | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The response to `request`; never raises for what a client or a function does."""
        response = self._options.cors.preflight(request)
        if response is None:
            try:
                response = await self._dispatch(request)
            except PayloadTooLargeError:
                response = web.Response(status=413)
                response.force_close()
            self._options.cors.apply(request, response)
        response.headers.setdefault("Server", "Kestrel")
        return response

    async def _dispatch(self, request: web.BaseRequest) -> web.Response:
        if (request.content_length or 0) > self._options.body_limit:
            raise PayloadTooLargeError
        raw_path, _, raw_query = request.raw_path.partition("?")
        headers = joined_headers(request)
        if raw_path.lower().startswith("/admin/"):
            return await self._admin(request, headers, self._access(headers, joined_query(raw_query)))
        if not await self._available():
            return web.Response(status=503, text="Function host is not running.")
        match = self._host.routes.match(request.method, raw_path)
        if match is None:
            return await self._unrouted(request, raw_path)
        function, route = match
        access = self._access(headers, joined_query(raw_query), function)
        if not self._authorised(function, access):
            return web.Response(status=401)
        if access is not AccessLevel.ADMIN and is_disabled(function.name, os.environ):
            return web.Response(status=404)
        return await self._throttled(request, headers, function, route)

    async def _available(self) -> bool:
        try:
            async with asyncio.timeout(_START_WAIT):
                await self._host.settled.wait()
        except TimeoutError:
            return False
        return self._host.state is HostState.RUNNING

    async def _unrouted(self, request: web.BaseRequest, raw_path: str) -> web.Response:
        if self._options.static is not None:
            known = request.headers.get("If-None-Match")
            return await self._options.static.serve(request.method, raw_path, known) or web.Response(status=404)
        if raw_path != "/" or request.method not in {"GET", "HEAD"}:
            return web.Response(status=404)
        if os.environ.get(_DISABLE_HOME_PAGE, "").lower() == "true":
            return web.Response(status=204)
        return web.Response(text=_HOME_PAGE, content_type="text/html")

    def _access(
        self, headers: Mapping[str, str], query: Mapping[str, str], function: Function | None = None
    ) -> AccessLevel:
        """What the caller's key allows. Without --auth nobody looks at keys, and every level is open."""
        if self._options.keys is None:
            return AccessLevel.ANONYMOUS
        return self._options.keys.level(presented_key(headers, query), function.name if function else None)

    def _authorised(self, function: Function, access: AccessLevel) -> bool:
        if self._options.keys is None:
            return True
        level = str(function.trigger.get("authLevel", "function")).lower()
        needed = {"anonymous": AccessLevel.ANONYMOUS, "function": AccessLevel.FUNCTION}.get(level, AccessLevel.ADMIN)
        return access >= needed

    async def _throttled(
        self, request: web.BaseRequest, headers: dict[str, str], function: Function, route: dict[str, str]
    ) -> web.Response:
        limits = self._host.config.http
        if 0 <= limits.max_outstanding_requests <= self._waiting:
            return web.Response(status=429)
        self._waiting += 1
        try:
            if limits.max_concurrent_requests < 1:
                return await self._run(request, headers, function, route)
            if self._slots is None:
                self._slots = asyncio.Semaphore(limits.max_concurrent_requests)
            async with self._slots:
                return await self._run(request, headers, function, route)
        finally:
            self._waiting -= 1

    async def _run(
        self, request: web.BaseRequest, headers: dict[str, str], function: Function, route: dict[str, str]
    ) -> web.Response:
        body = await self._read_body(request)
        call = Invocation(
            {function.trigger["name"]: function_request(request, headers, route, body)},
            trace=new_trace_context(headers.get("traceparent", ""), headers.get("tracestate", "")),
        )
        return function_response(function, await self._host.invoker.invoke(function, call))

    async def _read_body(self, request: web.BaseRequest) -> bytes:
        """The body. One without a Content-Length reaches the worker empty, unless host.json binds chunked requests."""
        if request.content_length is None and not self._host.config.http.enable_chunked_request_binding:
            if request.can_read_body:
                logger.warning(
                    "The chunked body of %s %s is not passed to the function: Azure drops it too. Send a "
                    "Content-Length, or set extensions.http.enableChunkedRequestBinding in host.json.",
                    *(request.method, request.path),
                )
            return b""
        chunks, size = [], 0
        async for chunk in request.content.iter_any():
            size += len(chunk)
            if size > self._options.body_limit:
                raise PayloadTooLargeError
            chunks.append(chunk)
        return b"".join(chunks)
