"""The host itself: start, retry of a failed start, drain, resume, stop; and which functions it serves.

Sources: Azure/azure-functions-host, WebJobsScriptHostService and ScriptHost; Azure/azure-webjobs-sdk, DrainModeManager.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
import uuid
from collections.abc import Collection, Sequence
from enum import Enum
from pathlib import Path
from typing import Protocol

from local.host.config import ConfigurationError, HostConfig, load_host_config
from local.host.indexing import Function, IndexingError, load_functions
from local.host.invoke import Invoker
from local.host.logs import apply_log_levels
from local.host.routing import RouteError, RouteTable
from local.host.settings import SettingError, is_disabled
from local.host.timers import TimerListener

_TRIGGER_GROUPS = {"httpTrigger": "http", "timerTrigger": "timer", "serviceBusTrigger": "servicebus"}
_REGISTERED_BINDINGS = {kind.lower() for kind in (*_TRIGGER_GROUPS, "http")}
_FUNCTION_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,127}")
_MAX_BACKOFF = 120.0  # seconds between two attempts to start

startup = logging.getLogger("Host.Startup")
general = logging.getLogger("Host.General")


class HostState(Enum):
    """ScriptHostState, as far as this host has it."""

    STARTING = "Starting"
    RUNNING = "Running"
    ERROR = "Error"  # the last start failed; another attempt follows
    STOPPING = "Stopping"


class DrainState(Enum):
    """Whether the listeners were told to stop, and whether what they started has ended."""

    DISABLED = "Disabled"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"


class FunctionError(Exception):
    """A function that this host cannot serve. The others run."""


class Listener(Protocol):
    """What waits for a trigger to fire: it starts, stops taking new work, and closes once its work has ended."""

    def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def close(self) -> None: ...


class FunctionsHost:
    """One function app, loaded and served. `groups` empty serves every function."""

    def __init__(self, app: Path, groups: Collection[str], log_floor: str, state: Path) -> None:
        self.app = app
        self.id = uuid.uuid4().hex
        self.started_at = time.monotonic()
        self.state = HostState.STARTING
        self.settled = asyncio.Event()  # set when a start has ended, well or badly
        self.start_error: Exception | None = None
        self.config = HostConfig()
        self.functions: list[Function] = []
        self.function_errors: dict[str, str] = {}
        self.routes = RouteTable(self.config.http.route_prefix)
        self.invoker = Invoker(self.config.function_timeout)
        self._groups = frozenset(group.lower() for group in groups)
        self._log_floor = log_floor
        self._state = state
        self._listeners: list[Listener] = []
        self._draining = False
        self._start_task: asyncio.Task[None] | None = None

    def find(self, name: str) -> Function | None:
        """The served function called `name`, whatever its case."""
        return next((function for function in self.functions if function.name.lower() == name.lower()), None)

    async def start(self) -> None:
        """Start; after a failure return with state ERROR and go on trying in the background, for ever."""
        if not await self._try_start():
            self._start_task = asyncio.create_task(self._retry_start())

    async def _retry_start(self) -> None:
        delay = 1.0
        while True:
            await asyncio.sleep(delay)
            if await self._try_start():
                return
            delay = min(delay * 2, _MAX_BACKOFF)

    async def _try_start(self) -> bool:
        started = time.perf_counter()
        try:
            self.config = load_host_config(self.app, os.environ)
        except ConfigurationError as error:
            self.state, self.start_error = HostState.ERROR, error
            self.settled.set()
            startup.error("The host did not start: %s", error)
            return False
        apply_log_levels(self.config.log_levels, self._log_floor)
        self.invoker.close()
        self.invoker = Invoker(self.config.function_timeout)
        self._load()
        self._serve()
        self.state, self.start_error = HostState.RUNNING, None
        self.settled.set()
        startup.info("Host started (%dms)", (time.perf_counter() - started) * 1000)
        return True

    def _load(self) -> None:
        """Index the app. An app that cannot be indexed has no functions, and the host runs on without any."""
        try:
            functions = load_functions(self.app, os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py")
        except IndexingError as error:
            startup.error("The app in %s was not loaded and has no functions: %s", self.app, error)
            startup.debug("Where it failed:", exc_info=error)
            functions = []
        self.functions = [function for function in functions if self._selected(function)]
        startup.info("%d functions loaded", len(self.functions))

    def _selected(self, function: Function) -> bool:
        group = _TRIGGER_GROUPS.get(function.trigger_type, "other")
        return not self._groups or group in self._groups or f"function:{function.name.lower()}" in self._groups

    def _serve(self) -> None:
        """Map the routes and start the listeners of every function that can be served."""
        self.routes = RouteTable(self.config.http.route_prefix)
        self.function_errors = {}
        self._listeners = []
        startup.info("Initializing function HTTP routes")
        for function in self.functions:
            try:
                self._serve_function(function)
            except (FunctionError, RouteError, SettingError) as error:
                self.function_errors[function.name] = str(error)
                startup.error("The '%s' function is in error: %s", function.name, error)
        for route in self.routes:
            shown = ",".join(sorted(route.methods)) if route.methods else "all"
            startup.info("Mapped function route '%s' [%s] to '%s'", route.template.text, shown, route.function.name)
        if not len(self.routes):
            startup.info("No HTTP routes mapped")
        for listener in self._listeners:
            listener.start()

    def _serve_function(self, function: Function) -> None:
        _check_function(function)
        if function.trigger_type == "httpTrigger":
            self.routes.add(function)
        listeners = self._listeners_of(function)
        if is_disabled(function.name, os.environ):
            startup.info("Function 'Functions.%s' is disabled", function.name)
        else:
            self._listeners += listeners

    def _listeners_of(self, function: Function) -> Sequence[Listener]:
        match function.trigger_type:
            case "timerTrigger":
                return [TimerListener(function, self.invoker, os.environ, self._state)]
            case "serviceBusTrigger":
                # Only hosts that serve queues pay for importing the Service Bus SDK.
                from local.host.servicebus import queue_listeners  # noqa: PLC0415

                return queue_listeners(function, self.invoker, self.config.service_bus, os.environ)
            case _:
                return []

    @property
    def drain_state(self) -> DrainState:
        if not self._draining:
            return DrainState.DISABLED
        return DrainState.IN_PROGRESS if self.invoker.in_flight else DrainState.COMPLETED

    async def drain(self) -> None:
        """Stop the listeners; what they started runs on, and HTTP is still served."""
        if self._draining:
            return
        self._draining = True
        general.info("DrainMode mode enabled")
        general.info("Calling StopAsync on the registered listeners")
        await asyncio.gather(*(listener.stop() for listener in self._listeners))
        general.info("Call to StopAsync complete, registered listeners are now stopped")

    async def resume(self) -> None:
        """Leave drain mode: close what is left of the old listeners and start new ones."""
        if not self._draining:
            return
        await asyncio.gather(*(listener.close() for listener in self._listeners))
        self._draining = False
        self._serve()

    async def stop(self, drain_seconds: float) -> None:
        """Drain, wait up to `drain_seconds` for what runs, then let go of everything."""
        self.state = HostState.STOPPING
        if self._start_task is not None:
            self._start_task.cancel()
        await self.drain()
        try:
            async with asyncio.timeout(drain_seconds):
                await self.invoker.wait_idle()
        except TimeoutError:
            general.warning(
                "%d invocations still ran after %g s and were abandoned. Raise --drain-seconds if they need longer.",
                *(self.invoker.in_flight, drain_seconds),
            )
        await asyncio.gather(*(listener.close() for listener in self._listeners))
        self.invoker.close()


def _check_function(function: Function) -> None:
    if not _FUNCTION_NAME.fullmatch(function.name) or function.name.lower() == "host":
        raise FunctionError(
            f"The name '{function.name}' is not allowed: a letter first, then letters, digits, _ or -, 128 at most."
        )
    unknown = [binding["type"] for binding in function.bindings if binding["type"].lower() not in _REGISTERED_BINDINGS]
    if unknown:
        raise FunctionError(
            f"The binding type(s) '{', '.join(unknown)}' are not registered. Please ensure the type is correct and the "
            "binding extension is installed. (This local host has HTTP, timer and Service Bus queue triggers only.)"
        )
    if function.retry_policy is not None and function.trigger_type != "timerTrigger":
        startup.warning(
            "The retry policy of '%s' is ignored: the host applies @retry to timers only, not to %s. "
            "Retry in the function, or rely on the queue's redelivery.",
            *(function.name, function.trigger_type),
        )
