"""Telemetry that costs nothing until there is something to tell: the exporters are imported by a thread at first use.

What comes in before they are ready is kept; a full queue, a slow endpoint or one that is down loses telemetry and
nothing else.
"""

from __future__ import annotations

import copy
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.service.tracing import Span, current_span

logger = logging.getLogger(__name__)

#: Spans and log records that may wait for the exporters to be ready, and in each exporter's queue.
CAPACITY = 2048
#: Below a warning only our own log lines are sent.
_OURS = ("shared", "functions")
#: What the exporters themselves log would be sent by them again, and again.
_EXPORTERS_OWN = ("opencensus", "urllib3", "requests", "azure.identity", __name__)
_ALL = 100.0


@dataclass(frozen=True)
class Sampled:
    """A span or a log record to send, and of how many hundredths of its like it is one."""

    item: Span | logging.LogRecord
    percent: float


@dataclass
class Aggregate:
    """The values of one measurement with the same dimensions since the last time they were sent."""

    name: str
    dimensions: dict[str, str]
    count: int
    total: float
    smallest: float
    largest: float


class Exporter(Protocol):
    """What sends. Neither method waits."""

    def put(self, sampled: Sampled) -> None:
        """Send it soon."""


#: Makes the exporter, which takes a while and may fail; it asks the function it is given for the aggregates to send.
MakeExporter = Callable[[Callable[[], list[Aggregate]]], Exporter]


class DeferredTelemetry:
    """`Telemetry` that hands on to an exporter made at first use.

    `sampling` is the share of traces (0..1) that are sent whole. Which ones is for the trace id to say, so that all
    processes agree. What failed, and every warning, is always sent. Measurements are never sampled.
    """

    def __init__(self, make_exporter: MakeExporter, sampling: float) -> None:
        self._make_exporter = make_exporter
        self._sampling = sampling
        self._lock = threading.Lock()
        self._early: deque[Sampled] = deque(maxlen=CAPACITY)
        self._starter: threading.Thread | None = None
        self._exporter: Exporter | None = None
        self._aggregates: dict[tuple[str, tuple[tuple[str, str], ...]], Aggregate] = {}

    def record(self, span: Span) -> None:
        """See Telemetry."""
        if not span.success:
            self._put(Sampled(span, _ALL))
        elif self._is_sampled(span.trace_id):
            self._put(Sampled(span, _ALL * self._sampling))

    def measure(self, name: str, value: float, **dimensions: str) -> None:
        """See Telemetry."""
        key = (name, tuple(sorted(dimensions.items())))
        with self._lock:
            held = self._aggregates.get(key)
            if held is None:
                self._aggregates[key] = Aggregate(name, dimensions, 1, value, value, value)
            else:
                held.count += 1
                held.total += value
                held.smallest = min(held.smallest, value)
                held.largest = max(held.largest, value)
        self._start()

    def listen(self) -> None:
        """Send log records too, from now on."""
        logging.getLogger().addHandler(_LogListener(self))

    def take_record(self, record: logging.LogRecord) -> None:
        """Send a log record with what the current span can be found by."""
        span = current_span()
        if record.levelno < logging.WARNING:
            if span is not None and not self._is_sampled(span.trace_id):
                return
            percent = _ALL if span is None else _ALL * self._sampling
        else:
            percent = _ALL
        # A copy, for other handlers have the record too; and its text as it is now, for arguments may change.
        record = copy.copy(record)
        record.msg, record.args = record.getMessage(), None
        if span is not None:
            record.traceId, record.spanId = span.trace_id, span.span_id
            record.custom_dimensions = dict(span.dimensions)
        self._put(Sampled(record, percent))

    def _is_sampled(self, trace_id: str) -> bool:
        return int(trace_id[-8:], 16) < self._sampling * 2**32

    def _put(self, sampled: Sampled) -> None:
        with self._lock:
            if self._exporter is None:
                self._early.append(sampled)
            else:
                self._exporter.put(sampled)
        self._start()

    def _start(self) -> None:
        if self._starter is not None:
            return
        with self._lock:
            if self._starter is None:
                self._starter = threading.Thread(target=self._begin, name="telemetry-start", daemon=True)
                self._starter.start()

    def _begin(self) -> None:
        try:
            exporter = self._make_exporter(self._drain)
        except Exception:
            logger.exception("telemetry cannot be sent; jobs are run all the same")
            return
        with self._lock:
            while self._early:
                exporter.put(self._early.popleft())
            self._exporter = exporter

    def _drain(self) -> list[Aggregate]:
        with self._lock:
            taken, self._aggregates = list(self._aggregates.values()), {}
        return taken


class _LogListener(logging.Handler):
    """Passes on what is worth sending."""

    def __init__(self, telemetry: DeferredTelemetry) -> None:
        super().__init__(logging.INFO)
        self._telemetry = telemetry

    def emit(self, record: logging.LogRecord) -> None:
        if _is_of(record.name, _EXPORTERS_OWN):
            return
        if record.levelno >= logging.WARNING or _is_of(record.name, _OURS):
            self._telemetry.take_record(record)


def _is_of(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)
