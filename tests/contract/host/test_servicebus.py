"""Queue triggers against the Service Bus emulator: delivery, settlement, locks, concurrency, drain, reconnection."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.servicebus import ServiceBusMessage

from tests.contract.host.broker import Broker
from tests.contract.host.hosting import APPS, wait_for_log, wait_until, write_app
from tests.services import Service, running

pytestmark = pytest.mark.xdist_group("host-servicebus")  # one process holds what the fixtures start

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


def environment(broker: Broker) -> dict[str, str]:
    # AzureWebJobsSB wins over SB, which would not work.
    return {
        "AzureWebJobsSB": broker.connection_string,
        "SB": "Endpoint=sb://nowhere.invalid;SharedAccessKeyName=a;SharedAccessKey=b",
        "FailingQueue": "failing",
    }


@pytest.fixture(scope="module")
def host(broker: Broker) -> Iterator[Service]:
    with running("host", "--app", str(APPS / "servicebus"), "--port", "0", env=environment(broker)) as service:
        yield service


def seen(service: Service, function: str, count: int = 1, seconds: float = 10) -> list[Seen]:
    """What `function` reported, once it did so `count` times."""

    def reports() -> list[Seen]:
        found = [json.loads(line.split(": seen ", 1)[1]) for line in list(service.log) if ": seen " in line]
        return [report for report in found if report["function"] == function]

    wait_until(lambda: len(reports()) >= count, seconds)
    return reports()


def test_message_as_the_worker_gives_it(host: Service, broker: Broker) -> None:
    due = datetime.now(UTC) + timedelta(milliseconds=50)
    before = len(seen(host, "plain", 0))
    broker.send(
        "plain",
        ServiceBusMessage(
            "body é",
            application_properties={"text": "x", "number": 7, "flag": True, "ratio": 0.5, "Diagnostic-Id": PARENT},
            content_type="application/json",
            correlation_id="c1",
            message_id="m1",
            partition_key="p1",
            reply_to="r1",
            scheduled_enqueue_time_utc=due,
            subject="s1",
            time_to_live=timedelta(seconds=60),
            to="t1",
        ),
    )
    report = seen(host, "plain", before + 1)[before]
    assert report["body"] == "body é"
    properties = {"text": "x", "number": 7, "flag": True, "ratio": 0.5, "Diagnostic-Id": PARENT}
    assert report["application_properties"] == report["user_properties"] == properties
    given = ("content_type", "correlation_id", "message_id", "partition_key", "reply_to", "subject", "label", "to")
    assert [report[name] for name in given] == ["application/json", "c1", "m1", "p1", "r1", "s1", "s1", "t1"]
    assert report["delivery_count"] == 1, "the host counts the delivery that it makes"
    assert report["sequence_number"] >= 1
    assert len(report["lock_token"]) == 36
    enqueued = datetime.fromisoformat(report["enqueued_time_utc"])
    assert enqueued.tzinfo is None, "the worker is sent UTC times without their zone"
    assert timedelta(0) <= enqueued - due.replace(tzinfo=None, microsecond=0) < timedelta(seconds=5)
    assert datetime.fromisoformat(report["expires_at_utc"]) - enqueued == timedelta(seconds=60)
    not_sent = ("locked_until", "scheduled_enqueue_time_utc", "time_to_live", "state", "session_id")
    assert [report[name] for name in not_sent] == [None] * 5, "the extension does not send these"
    metadata = report["metadata"]
    assert metadata["MessageId"] == "m1"
    assert metadata["DeliveryCount"] == 1
    assert metadata["UserProperties"] == properties
    assert report["traceparent"].split("-")[1] == PARENT.split("-")[1], "the trace goes on"


PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_log_lines_of_a_message(host: Service, broker: Broker) -> None:
    broker.send("sync", ServiceBusMessage("x", message_id="logged"))
    (details,) = wait_for_log(host, "Trigger Details: MessageId: logged, SequenceNumber: ")
    invocation = details.split("[")[1].split("]")[0]
    wait_for_log(host, f"Executing 'Functions.sync' (Reason='(null)', Id={invocation})")
    wait_for_log(host, f"Executed 'Functions.sync' (Succeeded, Id={invocation}, Duration=")
    wait_until(lambda: not broker.waiting("sync"))


def test_a_parameter_annotated_str_gets_the_body(host: Service, broker: Broker) -> None:
    broker.send("text", "héllo")
    assert seen(host, "text")[0]["body"] == "héllo"


def test_failure_abandons_and_success_completes(host: Service, broker: Broker) -> None:
    broker.send("failing", "x")
    assert [report["delivery_count"] for report in seen(host, "failing", 2)] == [1, 2]
    wait_until(lambda: not broker.waiting("failing"))


def test_the_lock_is_renewed_while_the_function_runs(host: Service, broker: Broker) -> None:
    broker.send("short-lock", "3.5")  # the lock lasts 2 s
    reports = seen(host, "long_running", 2, seconds=15)
    assert reports == [
        {"function": "long_running", "delivery_count": 1},
        {"function": "long_running", "ended": True},
    ]
    wait_until(lambda: not broker.waiting("short-lock"))
    assert not [line for line in host.log if "lock of message" in line]


def test_batches(host: Service, broker: Broker) -> None:
    broker.send("batch", "1", "2", "again")
    reports = seen(host, "batch", 2)
    assert [body for report in reports[-1:] for body in report["bodies"]] == ["1", "2", "again"]
    assert "MessageIdArray" in reports[0]["metadata"]
    assert "UserPropertiesArray" in reports[0]["metadata"]
    assert len(set(reports[0]["identifiers"])) == 3
    wait_until(lambda: not broker.waiting("batch"))


def test_max_concurrent_calls(host: Service, broker: Broker) -> None:
    bodies = {str(number) for number in range(12)}
    broker.send("parallel", *sorted(bodies))
    reports = seen(host, "parallel", 12)
    assert {report["body"] for report in reports} == bodies
    assert max(report["most"] for report in reports) == 4


def test_a_message_starts_soon_on_an_idle_listener(host: Service, broker: Broker) -> None:
    waits = []
    for number in range(5):
        broker.send("sync", ServiceBusMessage("x", message_id=f"soon{number}"))
        (line,) = wait_for_log(host, f"MessageId: soon{number},")
        started = datetime.fromisoformat(line.split()[0])
        enqueued = datetime.fromisoformat(line.split("EnqueuedTimeUtc: ")[1].split(",")[0])
        waits.append((started - enqueued).total_seconds())
    assert min(waits) < 0.02, waits  # the best of five: the machine may be busy with other things


def test_a_function_without_its_connection_is_left_out(host: Service) -> None:
    wait_for_log(host, "The 'unconnected' function is in error: The connection 'Missing' is not set.")


def test_invoking_by_the_host_api(host: Service) -> None:
    answer = requests.post(f"{host.url}/admin/functions/text", json={"input": "by hand"}, timeout=5)
    assert (answer.status_code, answer.content) == (202, b"")
    wait_until(lambda: "by hand" in [report["body"] for report in seen(host, "text")])


def test_drain_on_sigterm_finishes_what_runs_and_takes_nothing_new(broker: Broker, tmp_path: Path) -> None:
    source = """
@app.service_bus_queue_trigger(arg_name="m", queue_name="drained", connection="SB")
async def slow(m: func.ServiceBusMessage):
    logging.info("began %s", m.get_body().decode())
    await asyncio.sleep(0.7)
    logging.info("ended %s", m.get_body().decode())
"""
    arguments = ("host", "--app", str(write_app(tmp_path, source)), "--port", "0")
    with running(*arguments, env={"SB": broker.connection_string}) as service:
        broker.send("drained", "first")
        wait_for_log(service, "began first")
        service.process.send_signal(signal.SIGTERM)
        wait_for_log(service, "listeners are now stopped")
        broker.send("drained", "second")
        assert service.process.wait(10) == 0
        wait_for_log(service, "ended first")
        assert not [line for line in service.log if "began second" in line]
        assert broker.waiting("drained") == ["second"]
    with running(*arguments, env={"SB": broker.connection_string}) as again:
        wait_for_log(again, "ended second")  # at once: a message that arrived while draining was given back
        wait_until(lambda: not broker.waiting("drained"))


def test_a_drain_that_takes_too_long_gives_the_message_back(broker: Broker, tmp_path: Path) -> None:
    source = """
@app.service_bus_queue_trigger(arg_name="m", queue_name="endless", connection="SB")
async def endless(m: func.ServiceBusMessage):
    logging.info("delivery %s", m.delivery_count)
    await asyncio.sleep(1000)
"""
    arguments = ("host", "--app", str(write_app(tmp_path, source)), "--port", "0", "--drain-seconds", "0.2")
    with running(*arguments, env={"SB": broker.connection_string}) as service:
        broker.send("endless", "x")
        wait_for_log(service, "delivery 1")
        assert service.stop() == 0
        wait_for_log(service, "1 invocations still ran after 0.2 s")
    with running(*arguments, env={"SB": broker.connection_string}) as service:
        wait_for_log(service, "delivery 2")


def test_function_timeout_abandons_the_message(broker: Broker, tmp_path: Path) -> None:
    source = """
@app.service_bus_queue_trigger(arg_name="m", queue_name="late", connection="SB")
async def late(m: func.ServiceBusMessage):
    logging.info("delivery %s", m.delivery_count)
    if m.delivery_count == 1:
        await asyncio.sleep(1000)
"""
    app = write_app(tmp_path, source, host_json='{"version": "2.0", "functionTimeout": "00:00:01"}')
    with running("host", "--app", str(app), "--port", "0", env={"SB": broker.connection_string}) as service:
        broker.send("late", "x")
        wait_for_log(service, "Timeout value of 00:00:01 exceeded by function 'Functions.late'")
        wait_for_log(service, "delivery 2")
        wait_until(lambda: not broker.waiting("late"))


def test_reconnects_when_the_broker_comes_back(tmp_path: Path) -> None:
    broker = Broker(tmp_path)
    source = """
@app.service_bus_queue_trigger(arg_name="m", queue_name="plain", connection="SB")
async def listens(m: func.ServiceBusMessage):
    logging.info("got %s", m.get_body().decode())
    await asyncio.sleep(float(m.get_body()))
    logging.info("done %s", m.get_body().decode())
"""
    app = write_app(tmp_path, source)
    try:
        with running("host", "--app", str(app), "--port", "0", env={"SB": broker.connection_string}) as service:
            broker.send("plain", "1.5")
            wait_for_log(service, "got 1.5")
            broker.kill()
            wait_for_log(service, "The listener for function 'listens' has no connection and keeps trying")
            broker.restart()
            wait_for_log(service, "Listening to queue 'plain' again for 'listens'")
            wait_for_log(service, "done 1.5")
            broker.send("plain", "0")
            wait_for_log(service, "done 0")
            assert len(wait_for_log(service, "has no connection")) == 1, "one line, not a flood"
            # The message received before the kill was settled over the new connection, or comes again.
            wait_until(lambda: not broker.waiting("plain"))
            start = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - start < 5
    finally:
        broker.stop()


def test_a_queue_that_is_held_is_waited_for_quietly(broker: Broker, tmp_path: Path) -> None:
    source = """
@app.service_bus_queue_trigger(arg_name="m", queue_name="held", connection="SB")
async def held(m: func.ServiceBusMessage):
    logging.info("got %s", m.get_body().decode())
    await asyncio.sleep(float(m.get_body()))
    logging.info("done %s", m.get_body().decode())
"""
    app = write_app(tmp_path, source)
    with running("host", "--app", str(app), "--port", "0", env={"SB": broker.connection_string}) as service:
        broker.send("held", "2.5")
        wait_for_log(service, "got 2.5")
        broker.set_status("held", "ReceiveDisabled")
        broker.send("held", "0")
        wait_for_log(service, "done 2.5")  # what runs runs on, and by now the host has looked again more than once
        assert len(wait_for_log(service, "Queue 'held' is disabled for receiving")) == 1
        assert wait_for_log(service, "got 0", count=0) == []
        broker.set_status("held", "Active")
        wait_for_log(service, "done 0", seconds=5)
        wait_until(lambda: not broker.waiting("held"))
        assert len(wait_for_log(service, "got 2.5")) == 1, "its lock has outlived the time of the hold"
        assert wait_for_log(service, "no connection", count=0) == []


def test_retry_policy_of_a_queue_function_is_ignored_aloud(broker: Broker, tmp_path: Path) -> None:
    source = """
@app.service_bus_queue_trigger(arg_name="m", queue_name="retried", connection="SB")
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
async def retried(m: func.ServiceBusMessage): pass
"""
    with running(
        "host", "--app", str(write_app(tmp_path, source)), "--port", "0", env={"SB": broker.connection_string}
    ) as service:
        wait_for_log(service, "The retry policy of 'retried' is ignored")
