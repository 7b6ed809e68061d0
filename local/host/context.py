"""What a function may ask for beside its trigger: the invocation's context and its output parameters."""

from __future__ import annotations

import random
import re
import threading
from dataclasses import dataclass, field
from typing import Any

import azure.functions as func

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
_thread_local = threading.local()


@dataclass(frozen=True, slots=True)
class TraceContext:
    """W3C trace context; the capitalised names are the worker's older spelling."""

    trace_parent: str
    trace_state: str = ""
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def Traceparent(self) -> str:  # noqa: N802 - azure.functions documents this name
        return self.trace_parent

    @property
    def Tracestate(self) -> str:  # noqa: N802 - azure.functions documents this name
        return self.trace_state


def new_trace_context(parent: str = "", state: str = "") -> TraceContext:
    """A span of the trace that `parent` (a traceparent) names, or of a new trace when it names none."""
    match = _TRACEPARENT.fullmatch(parent)
    trace, flags = (match[1], match[2]) if match else (f"{random.getrandbits(128):032x}", "00")
    return TraceContext(f"00-{trace}-{random.getrandbits(64):016x}-{flags}", state)


@dataclass(frozen=True, slots=True)
class RetryContext:
    """Which attempt of a retry policy this is; zeros without a policy."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: Any = None


class InvocationContext(func.Context):
    """The `context` parameter."""

    def __init__(
        self, invocation: str, function: str, directory: str, trace: TraceContext, retry: RetryContext
    ) -> None:
        self._invocation = invocation
        self._function = function
        self._directory = directory
        self._trace = trace
        self._retry = retry

    @property
    def invocation_id(self) -> str:
        return self._invocation

    @property
    def thread_local_storage(self) -> Any:
        return _thread_local

    @property
    def function_name(self) -> str:
        return self._function

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def trace_context(self) -> Any:
        return self._trace

    @property
    def retry_context(self) -> Any:
        return self._retry


class OutputParameter(func.Out[Any]):
    """An `Out[...]` parameter: holds what the function set."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value
