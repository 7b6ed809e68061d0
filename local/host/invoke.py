"""Running one function once: arguments in, an outcome out. Nothing that user code raises gets past this module."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import time
import traceback
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from local.host.context import InvocationContext, OutputParameter, RetryContext, TraceContext, new_trace_context
from local.host.indexing import Function
from local.host.logs import invocation_id
from local.host.timespan import format_timespan

_HOST_API_REASON = "This function was programmatically called via the host APIs."


@dataclass(frozen=True, slots=True)
class Invocation:
    """A call to make: the trigger's argument by name, why it is made, and what the log shows of it."""

    arguments: Mapping[str, Any]
    reason: str = _HOST_API_REASON
    details: str = ""
    trace: TraceContext | None = None
    retry: RetryContext = field(default_factory=RetryContext)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an invocation ended. `error` None means it succeeded; `result` and `outputs` are then what it gave."""

    result: Any = None
    outputs: Mapping[str, Any] | None = None
    error: BaseException | None = None


class FunctionTimeoutError(Exception):
    """The function ran longer than functionTimeout of host.json. Make it quicker, or raise the limit there."""


class Invoker:
    """Runs functions: async ones on the event loop, sync ones on a thread pool, both under functionTimeout."""

    def __init__(self, function_timeout: timedelta | None) -> None:
        self._timeout = function_timeout
        self._pool = _new_pool()
        self.in_flight = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def wait_idle(self) -> None:
        """Return when nothing runs."""
        await self._idle.wait()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def invoke(self, function: Function, call: Invocation) -> Outcome:
        """Run `function` once, log its start and its end, and return its outcome; raises nothing."""
        identifier = str(uuid.uuid4())
        logger = logging.getLogger(f"Function.{function.name}")
        token = invocation_id.set(identifier)
        self.in_flight += 1
        self._idle.clear()
        started = time.perf_counter()
        try:
            logger.info("Executing 'Functions.%s' (Reason='%s', Id=%s)", function.name, call.reason, identifier)
            if call.details:
                logger.info("Trigger Details: %s", call.details)
            outcome = await self._run(function, call, identifier, logger)
            milliseconds = int((time.perf_counter() - started) * 1000)
            if outcome.error is None:
                logger.info(
                    "Executed 'Functions.%s' (Succeeded, Id=%s, Duration=%dms)", function.name, identifier, milliseconds
                )
            else:
                logger.error(
                    "Executed 'Functions.%s' (Failed, Id=%s, Duration=%dms) %s",
                    *(function.name, identifier, milliseconds, _describe(outcome.error)),
                )
            return outcome
        finally:
            invocation_id.reset(token)
            self.in_flight -= 1
            if not self.in_flight:
                self._idle.set()

    async def _run(self, function: Function, call: Invocation, identifier: str, logger: logging.Logger) -> Outcome:
        arguments = dict(call.arguments)
        if function.wants_context:
            arguments["context"] = InvocationContext(
                identifier, function.name, function.directory, call.trace or new_trace_context(), call.retry
            )
        for name in function.outputs:
            arguments[name] = OutputParameter()
        seconds = self._timeout.total_seconds() if self._timeout else None
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                result = await (self._call_async if function.is_async else self._call_sync)(function, arguments)
        except BaseException as error:  # noqa: BLE001 - SystemExit and CancelledError of user code end here as well
            if not limit.expired():
                return Outcome(error=error)
            return Outcome(error=self._expired(function, identifier, logger))
        if limit.expired():
            return Outcome(error=self._expired(function, identifier, logger))
        if result is not None and function.returns is None:
            return Outcome(
                error=RuntimeError(f"function {function.name!r} without a $return binding returned a non-None value")
            )
        return Outcome(result, {name: arguments[name].get() for name in function.outputs})

    @staticmethod
    async def _call_async(function: Function, arguments: dict[str, Any]) -> Any:
        return await function.call(**arguments)

    async def _call_sync(self, function: Function, arguments: dict[str, Any]) -> Any:
        context = contextvars.copy_context()

        def run() -> tuple[Any, BaseException | None]:
            try:
                return context.run(function.call, **arguments), None
            except BaseException as error:  # noqa: BLE001 - StopIteration and SystemExit cannot cross a future
                return None, error

        result, error = await asyncio.get_running_loop().run_in_executor(self._pool, run)
        if error is not None:
            raise error
        return result

    def _expired(self, function: Function, identifier: str, logger: logging.Logger) -> FunctionTimeoutError:
        shown = format_timespan(self._timeout or timedelta(0))
        logger.error(
            "Timeout value of %s exceeded by function 'Functions.%s' (Id: '%s'). Initiating cancellation.",
            *(shown, function.name, identifier),
        )
        if not function.is_async:
            self._replace_pool(identifier)
        return FunctionTimeoutError(f"Timeout value of {shown} was exceeded by function: Functions.{function.name}")

    def _replace_pool(self, identifier: str) -> None:
        """Stand in for the worker restart: a thread cannot be killed, so its pool is left behind and a new one serves.

        Queued calls of the old pool still run there; other invocations are not harmed, unlike in Azure.
        """
        log = logging.getLogger("Host.Worker")
        log.error("A function timeout has occurred. Restarting worker process executing invocationId '%s'.", identifier)
        self._pool.shutdown(wait=False)
        self._pool = _new_pool()
        log.info("Restart of language worker process(es) completed.")


def _new_pool() -> ThreadPoolExecutor:
    count = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
    workers = int(count) if count.isdecimal() and int(count) > 0 else None
    return ThreadPoolExecutor(workers, thread_name_prefix="function")


def _describe(error: BaseException) -> str:
    """The error in one line, then its traceback from the user's frames on."""
    if isinstance(error, FunctionTimeoutError):
        return str(error)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    where = f", at {frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""
    message = " ".join(str(error).split())
    summary = f"{type(error).__name__}: {message}" if message else type(error).__name__
    return f"{summary}{where}\n" + "".join(traceback.format_list(frames)).rstrip() if frames else summary
