"""What comes before the exporters, and what they make of it, in this process against the ingestion endpoint."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.azure import telemetry as exporters
from shared.azure.deferred_telemetry import CAPACITY, Aggregate, DeferredTelemetry, Exporter, Sampled
from shared.config import TelemetrySettings
from shared.service.tracing import Span, dependency, request
from tests.telemetry.ingestion import Envelope, Ingestion

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Kept:
    """An exporter that keeps what it is given; it can be made once `ready` is set."""

    def __init__(self) -> None:
        self.sampled: list[Sampled] = []
        self.ready = threading.Event()
        self.made = threading.Event()
        self.drain: Callable[[], list[Aggregate]] = list

    def make(self, drain: Callable[[], list[Aggregate]]) -> Exporter:
        assert self.ready.wait(10)
        self.drain = drain
        self.made.set()
        return self

    def put(self, sampled: Sampled) -> None:
        self.sampled.append(sampled)

    @property
    def names(self) -> list[str]:
        return [each.item.name for each in self.sampled if isinstance(each.item, Span)]


def told(telemetry: DeferredTelemetry, kept: Kept) -> Kept:
    """`kept`, once the telemetry's thread is done."""
    kept.ready.set()
    starter = telemetry._starter
    assert starter is not None
    starter.join(10)
    return kept


def test_nothing_is_made_before_there_is_something_to_tell_and_nothing_early_is_lost() -> None:
    kept = Kept()
    telemetry = DeferredTelemetry(kept.make, 1.0)
    assert telemetry._starter is None
    for number in range(3):
        with request(telemetry, f"early {number}", ""):
            pass
    assert kept.sampled == []
    told(telemetry, kept)
    with request(telemetry, "late", ""):
        pass
    assert kept.names == ["early 0", "early 1", "early 2", "late"]


def test_what_waits_for_the_exporter_is_bounded_and_the_newest_is_kept() -> None:
    kept = Kept()
    telemetry = DeferredTelemetry(kept.make, 1.0)
    for number in range(CAPACITY + 10):
        with request(telemetry, str(number), ""):
            pass
    assert told(telemetry, kept).names == [str(number) for number in range(10, CAPACITY + 10)]


def test_an_exporter_that_cannot_be_made_is_said_once_and_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: Callable[[], list[Aggregate]]) -> Exporter:
        raise ValueError("Invalid instrumentation key.")

    telemetry = DeferredTelemetry(broken, 1.0)
    for _ in range(3):
        with request(telemetry, "work", ""):
            pass
        assert telemetry._starter is not None
        telemetry._starter.join(10)
    assert [record.message for record in caplog.records] == ["telemetry cannot be sent; jobs are run all the same"]


def test_a_trace_is_sent_whole_or_not_at_all_failures_always_and_each_says_how_many_it_stands_for() -> None:
    kept = Kept()
    telemetry = DeferredTelemetry(kept.make, 0.25)
    for _ in range(800):
        with request(telemetry, "parent", "") as parent, dependency("HTTP", "host", "child"):
            pass
        with request(telemetry, "failing", parent.traceparent) as failing:
            failing.end("500", success=False)
    told(telemetry, kept)
    traces: dict[str, list[str]] = {}
    for each in kept.sampled:
        assert isinstance(each.item, Span)
        traces.setdefault(each.item.trace_id, []).append(each.item.name)
        assert each.percent == (100 if each.item.name == "failing" else 25)
    assert len(traces) == 800
    whole = [names for names in traces.values() if len(names) == 3]
    assert all(names == ["failing"] for names in traces.values() if len(names) != 3)
    assert 120 < len(whole) < 290, "a quarter of 800, give or take six standard deviations"


def test_two_processes_agree_on_what_is_sampled() -> None:
    one, other = Kept(), Kept()
    first, second = DeferredTelemetry(one.make, 0.5), DeferredTelemetry(other.make, 0.5)
    for number in range(200):
        with request(first, str(number), "") as span:
            pass
        with request(second, str(number), span.traceparent):
            pass
    assert told(first, one).names == told(second, other).names
    assert 40 < len(one.names) < 160


def test_values_are_added_up_by_their_dimensions_and_handed_over_once() -> None:
    kept = Kept()
    telemetry = DeferredTelemetry(kept.make, 0.0)
    for value in (3.0, 1.0, 2.0):
        telemetry.measure("seconds", value, job_type="a", outcome="completed")
    telemetry.measure("seconds", 9.0, job_type="b", outcome="completed")
    told(telemetry, kept)
    first, second = kept.drain()
    assert first == Aggregate("seconds", {"job_type": "a", "outcome": "completed"}, 3, 6.0, 1.0, 3.0)
    assert second.count == 1
    assert kept.drain() == []


@pytest.fixture(scope="module")
def sent() -> Iterator[tuple[DeferredTelemetry, Ingestion]]:
    """Telemetry that is really sent, often."""
    patch = pytest.MonkeyPatch()
    patch.setattr(exporters, "EXPORT_SECONDS", 0.1)
    patch.setattr(exporters, "METRICS_SECONDS", 0.1)
    with Ingestion() as ingestion:
        settings = TelemetrySettings(ingestion.connection_string)
        telemetry = DeferredTelemetry(lambda drain: exporters.ApplicationInsights(settings, "dtq", "here", drain), 1.0)
        yield telemetry, ingestion
        stop(telemetry)
    patch.undo()


def stop(telemetry: DeferredTelemetry) -> None:
    """End the exporters' threads, which in an app end with the process."""
    exporter = telemetry._exporter
    assert isinstance(exporter, exporters.ApplicationInsights)
    exporter._spans._worker.stop(1)
    exporter._logs.close(1)
    exporter._metrics.exporter_thread.cancel()
    exporter._metrics.exporter_thread = None


def data_of(ingestion: Ingestion, base_type: str, text: str) -> dict[str, Any]:
    def found() -> list[Envelope]:
        return [each for each in ingestion.of(base_type) if text in str(each)]

    ingestion.wait_for(lambda: bool(found()), f"{base_type} with {text}")
    data: dict[str, Any] = found()[0]["data"]["baseData"]
    return data


def test_an_aggregate_arrives_with_its_count_and_its_extremes(sent: tuple[DeferredTelemetry, Ingestion]) -> None:
    telemetry, ingestion = sent
    for value in (0.5, 1.5):
        telemetry.measure("dtq_attempt_seconds", value, outcome="completed")
    arrived: list[dict[str, Any]] = []

    def all_counted() -> bool:
        arrived[:] = [each["data"]["baseData"] for each in ingestion.of("MetricData")]
        return sum(int(each["metrics"][0]["count"]) for each in arrived) == 2

    ingestion.wait_for(all_counted, "both values")
    assert sum(each["metrics"][0]["value"] for each in arrived) == 2.0
    assert min(each["metrics"][0]["min"] for each in arrived) == 0.5
    assert max(each["metrics"][0]["max"] for each in arrived) == 1.5
    assert {each["properties"]["outcome"] for each in arrived} == {"completed"}


def test_an_exception_is_logged_under_its_span_without_its_secrets(sent: tuple[DeferredTelemetry, Ingestion]) -> None:
    telemetry, ingestion = sent
    logger = logging.getLogger("shared.anything")
    logger.setLevel(logging.INFO)
    telemetry.listen()
    listener = logging.getLogger().handlers[-1]
    try:
        with request(telemetry, "work", TRACE, job_id="j1", attempt="2"):
            logger.info("calling %s", "https://host/path?code=CANARY1&x=1")
            text = "Endpoint=sb://x;SharedAccessKey=CANARY2;rest Authorization: Bearer CANARY3"
            try:
                Path(text).read_bytes()
            except OSError:
                logger.exception("it broke")
    finally:
        logging.getLogger().removeHandler(listener)
    line = data_of(ingestion, "MessageData", "calling")
    assert line["message"] == "calling https://host/path?***"
    assert line["properties"].items() >= {"job_id": "j1", "attempt": "2"}.items()
    thrown = data_of(ingestion, "ExceptionData", "it broke")
    assert thrown["exceptions"][0]["typeName"] == "FileNotFoundError"
    assert "SharedAccessKey=***;rest" in thrown["exceptions"][0]["message"]
    assert "CANARY" not in str(ingestion.envelopes)


def test_a_logger_of_others_is_heard_from_a_warning_on_and_the_exporters_never(
    sent: tuple[DeferredTelemetry, Ingestion],
) -> None:
    telemetry, ingestion = sent
    telemetry.listen()
    listener = logging.getLogger().handlers[-1]
    try:
        for name in ("somebody", "opencensus.ext.azure.common.transport"):
            logging.getLogger(name).warning("warned by %s", name)
            logging.getLogger(name).info("told by %s", name)
        logging.getLogger("shared.last").warning("the last line")
    finally:
        logging.getLogger().removeHandler(listener)
    data_of(ingestion, "MessageData", "the last line")
    lines = [each["data"]["baseData"]["message"] for each in ingestion.of("MessageData")]
    assert "warned by somebody" in lines
    assert not [line for line in lines if "opencensus" in line or "told by" in line]


def test_the_exporters_complain_once_a_minute() -> None:
    seldom = exporters._Seldom()
    record = logging.makeLogRecord({"msg": "Queue is full."})
    passed = []
    for seconds in range(0, 130, 10):
        record.created = 1_000_000.0 + seconds
        passed.append(seldom.filter(record))
    assert passed.count(True) == 3


def test_a_full_queue_and_a_hanging_endpoint_hold_nobody_up(sent: tuple[DeferredTelemetry, Ingestion]) -> None:
    telemetry, ingestion = sent
    ingestion.hold()
    try:
        begun = time.monotonic()
        for _ in range(3 * CAPACITY):
            with request(telemetry, "flood", ""):
                pass
        took = time.monotonic() - begun
    finally:
        ingestion.release()
    assert took < exporters.TIMEOUT_SECONDS, "three queues' worth, and none waited for even one answer"


def test_an_identitys_token_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token comes from where App Service hands them out; see azure-identity's AppServiceCredential."""
    asked: list[str] = []

    class Identity(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            body = b'{"access_token": "TOKEN", "expires_on": "4102444800", "resource": "r", "token_type": "Bearer"}'
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    identity = ThreadingHTTPServer(("127.0.0.1", 0), Identity)
    threading.Thread(target=identity.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{identity.server_port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    monkeypatch.setattr(exporters, "EXPORT_SECONDS", 0.1)
    with Ingestion() as ingestion:
        settings = TelemetrySettings(ingestion.connection_string, client_id="the-client")
        telemetry = DeferredTelemetry(lambda drain: exporters.ApplicationInsights(settings, "dtq", "here", drain), 1.0)
        with request(telemetry, "work", ""):
            pass
        ingestion.wait_for(lambda: bool(ingestion.of("RequestData")), "span")
        assert ingestion.authorizations == {"Bearer TOKEN"}
        stop(telemetry)
    identity.shutdown()
    identity.server_close()
    assert "client_id=the-client" in asked[0]
