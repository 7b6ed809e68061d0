"""The emulator as a process: what survives a kill, what it says when it cannot start, who cannot harm it."""

from __future__ import annotations

import datetime as dt
import json
import os
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.servicebus import ServiceBusClient, ServiceBusMessage, ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from tests.contract.servicebus.sdk import ENVIRONMENT, SOON, administration, close_pipes, connection_string
from tests.services import ROOT, Service, start_service

SHIPPED_CONFIG = ROOT / "local" / "Config.json"


def write_config(folder: Path, *queues: dict[str, Any], topics: int = 0) -> Path:
    path = folder / "Config.json"
    namespace = {"Name": "tests", "Queues": list(queues), "Topics": [{"Name": "t"}] * topics}
    path.write_text(json.dumps({"UserConfig": {"Namespaces": [namespace]}}))
    return path


class Emulator:
    """Starts and kills emulators on one data file."""

    def __init__(self, folder: Path, config: Path) -> None:
        self._arguments = ("--data", os.fspath(folder / "data.db"), "--config", os.fspath(config))
        self._services: list[Service] = []

    def start(self) -> Service:
        service = start_service("servicebus", "--port", "0", *self._arguments, env=ENVIRONMENT)
        self._services.append(service)
        return service

    def stop_all(self) -> None:
        for service in self._services:
            service.kill()
            close_pipes(service)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    queue = {"Name": "work", "Properties": {"LockDuration": "PT30S", "RequiresDuplicateDetection": True}}
    made = Emulator(tmp_path, write_config(tmp_path, queue))
    yield made
    made.stop_all()


def client(service: Service) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(connection_string(service.port), retry_total=0)


def drain(receiver: ServiceBusReceiver, wait: float) -> list[Any]:
    """Receive and complete until nothing comes for `wait` seconds."""
    drained = []
    while messages := receiver.receive_messages(100, max_wait_time=wait):
        for message in messages:
            receiver.complete_message(message)
            drained.append(message)
    return drained


def test_kill_in_the_middle_of_sends_loses_no_acknowledged_one(emulator: Emulator) -> None:
    service = emulator.start()
    acknowledged: list[str] = []
    enough = threading.Event()

    def send() -> None:
        with client(service) as sending, sending.get_queue_sender("work") as sender:
            for number in range(100_000):
                try:
                    sender.send_messages(ServiceBusMessage(str(number)))
                except ServiceBusError:
                    return
                acknowledged.append(str(number))
                if number == 300:
                    enough.set()

    thread = threading.Thread(target=send)
    thread.start()
    assert enough.wait(30)
    service.kill()
    thread.join(30)
    with client(emulator.start()) as receiving, receiving.get_queue_receiver("work", prefetch_count=100) as receiver:
        counts = Counter(str(message) for message in drain(receiver, 1))
    assert set(acknowledged) <= set(counts)
    assert len(counts) <= len(acknowledged) + 1  # the one under way may have made it
    assert set(counts.values()) == {1}


def test_kill_in_the_middle_of_completes_brings_none_back(emulator: Emulator) -> None:
    service = emulator.start()
    completed: set[int | None] = set()
    with client(service) as sending, sending.get_queue_sender("work") as sender:
        sender.send_messages([ServiceBusMessage(str(number)) for number in range(500)])
    enough = threading.Event()

    def complete() -> None:
        with client(service) as receiving, receiving.get_queue_receiver("work", prefetch_count=50) as receiver:
            while True:
                try:
                    for message in receiver.receive_messages(10, max_wait_time=SOON):
                        receiver.complete_message(message)
                        completed.add(message.sequence_number)
                        if len(completed) == 150:
                            enough.set()
                except (ServiceBusError, ValueError):
                    return

    thread = threading.Thread(target=complete)
    thread.start()
    assert enough.wait(30)
    service.kill()
    thread.join(60)
    with client(emulator.start()) as receiving, receiving.get_queue_receiver("work", prefetch_count=100) as receiver:
        left = drain(receiver, 1)
    numbers = {message.sequence_number for message in left}
    assert not numbers & completed
    assert len(numbers | completed) >= 499  # the one whose completion was under way may be gone
    assert {message.delivery_count for message in left} == {
        0,
        1,
    }  # those that were locked at the time count as delivered


def test_a_second_start_goes_on_where_the_first_stopped(emulator: Emulator) -> None:
    service = emulator.start()
    due = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    with (
        client(service) as first,
        first.get_queue_sender("work") as sender,
        first.get_queue_receiver("work") as receiver,
    ):
        sender.send_messages(
            [ServiceBusMessage(text, message_id=text) for text in ("gone", "deferred", "dead", "active")]
        )
        sender.schedule_messages(ServiceBusMessage("scheduled"), due)
        gone, deferred, dead = receiver.receive_messages(3, max_wait_time=SOON)
        receiver.complete_message(gone)
        receiver.defer_message(deferred)
        receiver.dead_letter_message(dead, reason="Because")
    with administration(service.port) as admin:
        admin.create_queue("made/by hand".replace(" ", "-"), max_delivery_count=4)
        admin.update_queue(admin.get_queue("work"), status="SendDisabled")
    assert service.stop() == 0

    service = emulator.start()
    with administration(service.port) as admin:
        assert admin.get_queue("made/by-hand").max_delivery_count == 4
        properties = admin.get_queue("work")
        assert properties.status == "SendDisabled"
        counts = admin.get_queue_runtime_properties("work")
        admin.update_queue(properties, status="Active")
    assert (counts.active_message_count, counts.scheduled_message_count, counts.dead_letter_message_count) == (2, 1, 1)
    with client(service) as second, second.get_queue_receiver("work") as receiver:
        peeked = [(message.sequence_number, str(message), message.state.name) for message in receiver.peek_messages(9)]
        assert peeked == [(2, "deferred", "DEFERRED"), (4, "active", "ACTIVE"), (5, "scheduled", "SCHEDULED")]
        (again,) = receiver.receive_deferred_messages(2)
        receiver.complete_message(again)
        with second.get_queue_sender("work") as sender:
            sender.send_messages(ServiceBusMessage("twin", message_id="gone"))
            sender.send_messages(ServiceBusMessage("new"))
        new = [message for message in receiver.peek_messages(9, sequence_number=1) if str(message) == "new"]
        assert [message.sequence_number for message in new] == [7]  # 6 went to the twin
        with second.get_queue_receiver("work", sub_queue="deadletter") as letters:
            (letter,) = letters.receive_messages(1, max_wait_time=SOON)
            assert letter.dead_letter_reason == "Because"


def test_the_shipped_config_loads(tmp_path: Path) -> None:
    shipped = Emulator(tmp_path, SHIPPED_CONFIG)
    definitions = json.loads(SHIPPED_CONFIG.read_text())["UserConfig"]["Namespaces"][0]["Queues"]
    try:
        with administration(shipped.start().port) as admin:
            queues = {queue.name: queue for queue in admin.list_queues()}
    finally:
        shipped.stop_all()
    assert set(queues) == {definition["Name"] for definition in definitions}
    low: Any = queues["jobs-low"]
    assert low.lock_duration == dt.timedelta(minutes=1)
    assert low.default_message_time_to_live == dt.timedelta(days=14)
    assert low.duplicate_detection_history_time_window == dt.timedelta(minutes=10)
    assert low.max_delivery_count == 5
    assert low.requires_duplicate_detection is True
    assert low.dead_lettering_on_message_expiration is True
    assert low.forward_dead_lettered_messages_to.endswith("/jobs-poison")


@pytest.mark.parametrize(
    ("properties", "topics", "message"),
    [
        ({"RequiresSession": True}, 0, "no sessions"),
        ({}, 1, "queues only"),
        ({"LockDurations": "PT1M"}, 0, "did you mean LockDuration?"),
        ({"LockDuration": "1 minute"}, 0, "not an ISO 8601 duration"),
        ({"LockDuration": "PT6M"}, 0, "from PT1S to PT5M"),
        ({"ForwardTo": "nowhere"}, 0, "'nowhere', which is not another queue"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_at_start(
    tmp_path: Path, properties: dict[str, Any], topics: int, message: str
) -> None:
    config = write_config(tmp_path, {"Name": "work", "Properties": properties}, topics=topics)
    run = _run("--config", os.fspath(config), "--data", os.fspath(tmp_path / "data.db"), env=ENVIRONMENT)
    assert run.returncode == 2
    assert message in run.stderr
    assert "Traceback" not in run.stderr


def test_a_missing_key_and_a_busy_port_are_named(tmp_path: Path, service: Service) -> None:
    data = os.fspath(tmp_path / "data.db")
    assert "set SERVICEBUS_KEY" in _run("--data", data, env={}).stderr
    busy = _run("--data", data, "--port", str(service.port), env=ENVIRONMENT)
    assert busy.returncode == 2
    assert "address already in use" in busy.stderr


def _run(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local", "servicebus", *arguments]
    inherited = {name: value for name, value in os.environ.items() if name != "SERVICEBUS_KEY"}
    environment = {**inherited, **env}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(
    "sent",
    [
        b"GARBAGE, not a protocol\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"AMQP\x00\x09\x00\x00",
        b"AMQP\x00\x01\x00\x00" + b"\xff" * 64,
        b"AMQP\x00\x01\x00\x00" + b"\x00\x00\x00\x20\x02\x00\x00\x00" + b"\x00\x53\x10\xf0\xff\xff\xff\xff" * 3,
        b"AMQP\x00\x01\x00\x00" + b"\x00\x00\x10\x08\x02\x00\x00\x00" + b"\x00" * 4096,
        b"PUT /queue HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"AMQP\x03\x01\x00\x00\x00\x00",
    ],
    ids=["garbage", "tls", "version", "oversized frame", "huge array", "nesting", "http", "cut off"],
)
def test_a_misbehaving_client_harms_nobody_else(service: Service, queue: str, sent: bytes) -> None:
    with client(service) as other, other.get_queue_sender(queue) as sender:
        sender.send_messages(ServiceBusMessage("before"))
        with socket.create_connection(("127.0.0.1", service.port), timeout=SOON) as bad:
            bad.sendall(sent)
            bad.shutdown(socket.SHUT_WR)
            while bad.recv(4096):  # until the emulator has closed its end
                pass
        sender.send_messages(ServiceBusMessage("after"))
    assert service.process.poll() is None


def test_a_hundred_connections_are_served(service: Service, queue: str) -> None:
    sockets = [socket.create_connection(("127.0.0.1", service.port), timeout=SOON) for _ in range(100)]
    try:
        for opened in sockets:
            opened.sendall(b"AMQP\x03\x01\x00\x00")
        for opened in sockets:
            assert opened.recv(8, socket.MSG_WAITALL) == b"AMQP\x03\x01\x00\x00"
        with client(service) as other, other.get_queue_sender(queue) as sender:
            sender.send_messages(ServiceBusMessage("served"))
    finally:
        for opened in sockets:
            opened.close()


def test_a_signal_stops_it_while_clients_are_connected(emulator: Emulator) -> None:
    service = emulator.start()
    with client(service) as sending, sending.get_queue_sender("work") as sender:
        sender.send_messages(ServiceBusMessage("kept"))
        assert service.stop(timeout=5) == 0
        with pytest.raises(ServiceBusError):
            sender.send_messages(ServiceBusMessage("too late"))
    assert not [line for line in service.log if "Traceback" in line]


def test_it_is_small_and_idle(emulator: Emulator) -> None:
    service = emulator.start()
    with client(service) as sending, sending.get_queue_sender("work") as sender:
        sender.send_messages(ServiceBusMessage("waits"))
        with sending.get_queue_receiver("work"):
            before = _cpu_ticks(service.process.pid)
            assert not threading.Event().wait(1.5)
            assert _cpu_ticks(service.process.pid) - before <= 2  # of 150
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    resident_kib = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
    assert resident_kib <= 35 * 1024


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])
