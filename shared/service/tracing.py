"""Spans and measurements: what the use cases tell of themselves, and how the work for one job is tied together.

A trace goes from the HTTP request over the message to the worker and on to the provider, as W3C Trace Context has it
(https://www.w3.org/TR/trace-context/): each span names its parent, and all of them the one trace. The span that code
runs in is a context variable, which tasks inherit, and threads that are started with the context.
"""

from __future__ import annotations

import asyncio
import contextvars
import enum
import re
import secrets
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from shared.jobs.model import JobMessage

# Section 3.2: version (never ff), trace id and parent id (never all zeros), flags.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")

# What is measured; the queries in infra/monitoring go by these names.
#: How long an attempt took; job_type, priority, outcome.
ATTEMPT_SECONDS = "dtq_attempt_seconds"
#: How long a job that was due waited for a worker; priority.
WAIT_SECONDS = "dtq_wait_seconds"
#: Jobs that were accepted; job_type, priority.
SUBMITTED = "dtq_submitted"
#: How long the oldest active message of a queue has waited; priority.
OLDEST_SECONDS = "dtq_oldest_seconds"
#: Messages in a queue; queue (without `jobs-`), messages (active or scheduled).
QUEUE_MESSAGES = "dtq_queue_messages"
#: 1 while the circuit breaker of a job type is open or half open, else 0; job_type.
BREAKER_OPEN = "dtq_breaker_open"
#: 1 for each round that the janitor ended well.
HEARTBEAT = "dtq_heartbeat"


class Telemetry(Protocol):
    """Where spans and measurements go. No method raises or waits: work goes on when nobody listens."""

    def record(self, span: Span) -> None:
        """Take a span that has ended."""

    def measure(self, name: str, value: float, **dimensions: str) -> None:
        """Take a value. Values of one name and the same dimensions are added up, and never sampled."""


class NoTelemetry:
    """Drops everything."""

    def record(self, span: Span) -> None:
        """See Telemetry."""

    def measure(self, name: str, value: float, **dimensions: str) -> None:
        """See Telemetry."""


class SpanKind(enum.Enum):
    """What a span stands for."""

    REQUEST = "request"  # work that somebody asked this process for
    DEPENDENCY = "dependency"  # a call to another service


@dataclass(kw_only=True)
class Span:
    """A piece of work with a beginning and an end. `dimensions` are what it can be found by; children inherit them."""

    telemetry: Telemetry = field(repr=False)
    kind: SpanKind
    name: str
    trace_id: str
    parent_id: str
    span_id: str
    #: A dependency's kind of service and its address, never with a path or a query: those may hold data or keys.
    service: str = ""
    target: str = ""
    dimensions: dict[str, str] = field(default_factory=dict)
    #: Epoch seconds, and how long it took.
    started_at: float = 0
    seconds: float = 0
    success: bool = True
    result: str = ""

    @property
    def traceparent(self) -> str:
        """What a message or a request carries so that the work it starts becomes a child of this span."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    def end(self, result: str, *, success: bool) -> None:
        """Say how it went."""
        self.result, self.success = result, success


_current: ContextVar[Span | None] = ContextVar("span", default=None)


def current_span() -> Span | None:
    """The span that the running code belongs to."""
    return _current.get()


def tag(**dimensions: str) -> None:
    """Let the current span be found by these too."""
    span = _current.get()
    if span is not None:
        span.dimensions.update(dimensions)


def parse_traceparent(text: str) -> tuple[str, str] | None:
    """Trace id and span id of a traceparent; None when it is not one."""
    match = _TRACEPARENT.fullmatch(text)
    return (match[1], match[2]) if match else None


def background_task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task that outlives what started it, and belongs to no span: its log lines are not those of some job."""
    return asyncio.get_running_loop().create_task(work, context=contextvars.Context())


@contextmanager
def request(telemetry: Telemetry, name: str, traceparent: str, **dimensions: str) -> Iterator[Span]:
    """A span for work that was asked for, under the span that `traceparent` names, else in a trace of its own."""
    trace_id, parent_id = parse_traceparent(traceparent) or (secrets.token_hex(16), "")
    with _recorded(
        Span(
            telemetry=telemetry,
            kind=SpanKind.REQUEST,
            name=name,
            trace_id=trace_id,
            parent_id=parent_id,
            span_id=secrets.token_hex(8),
            dimensions=dimensions,
        )
    ) as span:
        yield span


@contextmanager
def message_request(telemetry: Telemetry, verb: str, message: JobMessage) -> Iterator[Span]:
    """A span for what a message asks for, a child of the request that submitted its job."""
    job = message.job
    with request(
        telemetry,
        f"{verb} {job.job_type}",
        job.traceparent,
        job_id=job.job_id,
        trace_id=job.trace_id,
        job_type=job.job_type,
        priority=str(job.priority),
        attempt=str(message.attempt),
    ) as span:
        span.end("nothing_to_do", success=True)
        yield span


@contextmanager
def dependency(service: str, target: str, name: str) -> Iterator[Span | None]:
    """A span for a call to another service, under the current span; None where there is no span to be under."""
    parent = _current.get()
    if parent is None:
        yield None
        return
    with _recorded(
        Span(
            telemetry=parent.telemetry,
            kind=SpanKind.DEPENDENCY,
            name=name,
            trace_id=parent.trace_id,
            parent_id=parent.span_id,
            span_id=secrets.token_hex(8),
            service=service,
            target=target,
            dimensions=dict(parent.dimensions),
        )
    ) as span:
        yield span


@contextmanager
def _recorded(span: Span) -> Iterator[Span]:
    token = _current.set(span)
    span.started_at = time.time()
    begun = time.perf_counter()
    try:
        yield span
    except BaseException as exc:
        span.end(type(exc).__name__, success=False)
        raise
    finally:
        span.seconds = time.perf_counter() - begun
        _current.reset(token)
        span.telemetry.record(span)
