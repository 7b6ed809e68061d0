"""Application Insights by opencensus-ext-azure: the one module that knows the library.

Importing it takes about 0.2 s and starts nothing; only `shared.azure.deferred_telemetry` has it imported, in a thread
of its own. Wire format: the Breeze protocol, `POST {IngestionEndpoint}/v2.1/track`, a JSON list of envelopes.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

# Read by the library when its exporters are made: no figures about itself to an address of its vendor.
os.environ.setdefault("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
with warnings.catch_warnings():
    # It asks `locale.getdefaultlocale`, deprecated since Python 3.11, while it is imported.
    warnings.simplefilter("ignore", DeprecationWarning)
    from opencensus.ext.azure.common import utils
    from opencensus.ext.azure.common.protocol import (
        Data,
        DataPoint,
        Envelope,
        MetricData,
        RemoteDependency,
        Request,
    )
    from opencensus.ext.azure.log_exporter import AzureLogHandler
    from opencensus.ext.azure.metrics_exporter import MetricsExporter
    from opencensus.ext.azure.trace_exporter import AzureExporter
    from opencensus.metrics import transport

from shared.azure.deferred_telemetry import CAPACITY, Aggregate, Sampled
from shared.config import TelemetrySettings
from shared.service.tracing import Span, SpanKind

#: Seconds between two sendings of spans and logs, and of measurements.
EXPORT_SECONDS = 2
METRICS_SECONDS = 30
#: Longest wait, in seconds, for the endpoint's answer, and of a process that ends for what is still to be sent.
TIMEOUT_SECONDS = 5
GRACE_SECONDS = 2

#: Loggers of the library that complain of each item that finds a queue full, and of each delivery that fails; and how
#: often they may, in seconds.
_COMPLAINERS = ("opencensus.common.schedule", "opencensus.ext.azure.common.transport")
_COMPLAINT_SECONDS = 60

#: Attribute of a log record on its way through the library's queue.
_PERCENT = "sample_percent"

_HIDDEN = "***"
#: Values that are secrets by their names, in connection strings, headers and addresses; and any address's query.
_SECRETS = (
    (re.compile(r"(?i)\b(\w*key|sig|token|password|secret|authorization)(\s*[=:]\s*)(Bearer\s+)?[^\s;,&\"'<>]+"),
     rf"\1\2{_HIDDEN}"),
    (re.compile(r"\?[^\s\"'<>()]*=[^\s\"'<>()]*"), f"?{_HIDDEN}"),
)  # fmt: skip


class ApplicationInsights:
    """Sends spans, log records and measurements. Each exporter has a thread and a bounded queue of its own."""

    def __init__(
        self, settings: TelemetrySettings, role: str, instance: str, drain: Callable[[], list[Aggregate]]
    ) -> None:
        options = {
            "connection_string": settings.connection_string,
            "credential": None if settings.client_id is None else _credential(settings.client_id),
            # What cannot be sent is dropped: a file of it would outlive the instance nowhere, and fill its disk.
            "enable_local_storage": False,
            "queue_capacity": CAPACITY,
            "timeout": TIMEOUT_SECONDS,
            "grace_period": GRACE_SECONDS,
        }
        for name in _COMPLAINERS:
            logging.getLogger(name).addFilter(_Seldom())
        tags = {"ai.cloud.role": role, "ai.cloud.roleInstance": instance}
        self._spans = _SpanExporter(export_interval=EXPORT_SECONDS, **options)
        self._logs = _LogHandler(export_interval=EXPORT_SECONDS, **options)
        self._metrics = _MetricsExporter(export_interval=METRICS_SECONDS, **options)
        for exporter in (self._spans, self._logs, self._metrics):
            exporter.add_telemetry_processor(lambda envelope: envelope.tags.update(tags))
            exporter.options.endpoint = exporter.options.endpoint.rstrip("/")  # the library adds `/v2.1/track`
        self._logs.add_telemetry_processor(_hide_secrets)
        self._producer = _Producer(drain)
        # The exporter sends once more when the process ends, if it knows its thread.
        self._metrics.exporter_thread = transport.get_exporter_thread(
            [self._producer], self._metrics, interval=METRICS_SECONDS
        )

    def put(self, sampled: Sampled) -> None:
        """See Exporter."""
        if isinstance(sampled.item, Span):
            self._spans.export([sampled])
        else:
            sampled.item.__dict__[_PERCENT] = sampled.percent
            self._logs.handle(sampled.item)


class _SpanExporter(AzureExporter):  # type: ignore[misc]  # the library has no types
    """Sends our spans in place of the library's."""

    def span_data_to_envelope(self, sd: Sampled) -> Iterator[Any]:
        span = sd.item
        assert isinstance(span, Span)  # noqa: S101 - `put` sees to it
        tags = {"ai.operation.id": span.trace_id}
        if span.parent_id:
            tags["ai.operation.parentId"] = span.parent_id
        common = {
            "id": span.span_id,
            "name": span.name,
            "duration": utils.microseconds_to_duration(int(span.seconds * 1_000_000)),
            "success": span.success,
            "properties": span.dimensions,
        }
        if span.kind is SpanKind.REQUEST:
            tags["ai.operation.name"] = span.name
            kind, data = "Request", Request(responseCode=span.result or "0", **common)
        else:
            kind = "RemoteDependency"
            data = RemoteDependency(
                resultCode=span.result or "0", type=span.service, target=span.target, data=span.target, **common
            )
        yield Envelope(
            name=f"Microsoft.ApplicationInsights.{kind}",
            time=_iso(span.started_at),
            iKey=self.options.instrumentation_key,
            sampleRate=sd.percent,
            tags=tags,
            data=Data(baseData=data, baseType=f"{kind}Data"),
        )


class _LogHandler(AzureLogHandler):  # type: ignore[misc]  # the library has no types
    """The library's handler, mended."""

    # The library makes a handler without a lock (`createLock` sets None), which `logging` no longer allows since Python
    # 3.13: `Handler.handle` does `with self.lock`, so that every log call of the app would raise a TypeError.
    # See census-instrumentation/opencensus-python#1249; the library is retired, it will not be mended there.
    createLock = logging.Handler.createLock  # noqa: N815 - the name that `logging` calls

    def log_record_to_envelope(self, record: logging.LogRecord) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # `utcfromtimestamp`, since 3.12
            envelope = super().log_record_to_envelope(record)
        envelope.sampleRate = record.__dict__[_PERCENT]
        for tag, name in (("ai.operation.id", "traceId"), ("ai.operation.parentId", "spanId")):
            # As spans have it: the plain id, and none rather than zeros.
            if hasattr(record, name):
                envelope.tags[tag] = getattr(record, name)
            else:
                del envelope.tags[tag]
        return envelope

    def flush(self, timeout: float | None = None) -> None:
        """`logging` flushes at the end of the process, and would wait for an endpoint that hangs."""
        super().flush(timeout or GRACE_SECONDS)


class _MetricsExporter(MetricsExporter):  # type: ignore[misc]  # the library has no types
    """Sends our aggregates: the library's own metrics are sums since the start, which no query can add up."""

    def metric_to_envelopes(self, metric: Aggregate) -> list[Any]:
        point = DataPoint(
            name=metric.name,
            kind="Aggregation",
            value=metric.total,
            count=metric.count,
            min=metric.smallest,
            max=metric.largest,
        )
        return [
            Envelope(
                name="Microsoft.ApplicationInsights.Metric",
                time=_iso(datetime.now(UTC).timestamp()),
                iKey=self.options.instrumentation_key,
                tags={},
                data=Data(baseData=MetricData(metrics=[point], properties=metric.dimensions), baseType="MetricData"),
            )
        ]


class _Seldom(logging.Filter):
    """Lets a complaint through once in a while."""

    def __init__(self) -> None:
        super().__init__()
        self._next = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        if record.created < self._next:
            return False
        self._next = record.created + _COMPLAINT_SECONDS
        return True


class _Producer:
    """What the library asks for metrics; it keeps a weak reference only."""

    def __init__(self, drain: Callable[[], list[Aggregate]]) -> None:
        self._drain = drain

    def get_metrics(self) -> list[Aggregate]:
        return self._drain()


def redact(text: str) -> str:
    """The text without what looks like a secret."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _hide_secrets(envelope: Any) -> None:
    data = envelope.data.baseData
    if envelope.data.baseType == "ExceptionData":
        for exception in data.exceptions:
            exception["message"] = redact(exception["message"])
    else:
        data.message = redact(data.message)


def _credential(client_id: str) -> Any:
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415 - not with a key, that is locally

    return ManagedIdentityCredential(client_id=client_id or None)


def _iso(epoch_seconds: float) -> str:
    return datetime.fromtimestamp(epoch_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
