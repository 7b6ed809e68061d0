"""The same calls through Microsoft's worker and through our host end alike."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.servicebus import ServiceBusMessage

from tests.contract.host.broker import Broker
from tests.contract.host.hosting import wait_for_log, wait_until
from tests.contract.worker.conftest import FOLDER, Worker
from tests.services import Service, running

pytestmark = pytest.mark.xdist_group("worker")  # one process holds what the fixtures start

HTTP_FUNCTIONS = (
    *("echo", "text", "nothing", "mapping", "raw", "charset", "repeated", "empty", "bad_json", "fails"),
    *("generator", "output", "unawaited"),
)
FORM = "a=1&b=two"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("seen")


@pytest.fixture(scope="module")
def host(broker: Broker, seen: Path) -> Iterator[Service]:
    environment = {"SB": broker.connection_string, "SEEN_FOLDER": str(seen)}
    with running("host", "--app", str(FOLDER / "app"), "--port", "0", env=environment) as service:
        yield service


@pytest.fixture(scope="module")
def their_answers(worker: Worker, host: Service) -> dict[str, dict[str, Any]]:
    headers = {"x-one": "1", "content-type": "application/x-www-form-urlencoded"}
    calls = [
        {
            "function": name,
            "http": {
                "method": "POST",
                "url": f"{host.url}/api/{name}?q=1",
                "headers": headers,
                "query": {"q": "1"},
                "route": {},
                "body": FORM,
            },
        }
        for name in HTTP_FUNCTIONS
    ]
    (answer,) = worker([{"app": str(FOLDER / "app"), "calls": calls}])
    return dict(zip(HTTP_FUNCTIONS, answer["outcomes"], strict=True))


@pytest.mark.parametrize("name", HTTP_FUNCTIONS)
def test_http(their_answers: dict[str, dict[str, Any]], host: Service, name: str) -> None:
    theirs = their_answers[name]
    ours = requests.post(
        f"{host.url}/api/{name}?q=1",
        data=FORM,
        headers={"X-One": "1", "Content-Type": "application/x-www-form-urlencoded"},
        timeout=10,
    )
    if "error" in theirs:
        assert (ours.status_code, ours.content) == (500, b"")
    elif "returned" in theirs:
        assert (ours.status_code, ours.content.decode()) == (200, theirs["returned"]["string"])
    else:
        assert ours.status_code == int(theirs["status"])
        assert ours.content.decode("latin-1") == theirs["body"]
        for header, value in theirs["headers"].items():
            assert ours.headers[header] == value


def message(body: str, identifier: str) -> ServiceBusMessage:
    return ServiceBusMessage(
        body,
        application_properties={"text": "x", "number": 7, "flag": True},
        content_type="text/plain",
        correlation_id="c1",
        message_id=identifier,
        subject="s1",
        time_to_live=timedelta(minutes=1),
    )


def test_one_message(worker: Worker, host: Service, broker: Broker, seen: Path) -> None:
    """The worker, given the trigger metadata that our host gave, builds the same message from it."""
    broker.send("plain", message("body", "m1"))
    ours = read(seen, "one")
    call = {"function": "one", "message": {"bodies": ["body"], "metadata": ours["metadata"]}}
    (answer,) = worker([{"app": str(FOLDER / "app"), "calls": [call]}], {"SEEN_FOLDER": str(seen)})
    assert answer["outcomes"] == [{"returned": None}]
    assert read(seen, "one") == ours


def test_batch(worker: Worker, host: Service, broker: Broker, seen: Path) -> None:
    broker.send("batch", message("first", "m2"), message("second", "m3"))
    ours = read(seen, "many")
    bodies = [seen_message["body"] for seen_message in ours["messages"]]
    call = {"function": "many", "message": {"bodies": bodies, "metadata": ours["messages"][0]["metadata"]}}
    (answer,) = worker([{"app": str(FOLDER / "app"), "calls": [call]}], {"SEEN_FOLDER": str(seen)})
    assert answer["outcomes"] == [{"returned": None}]
    assert read(seen, "many") == ours


def test_a_value_returned_without_a_binding_fails(worker: Worker, host: Service, broker: Broker) -> None:
    call = {"function": "returns", "message": {"bodies": ["x"], "metadata": {"UserProperties": {}, "MessageId": "m"}}}
    (answer,) = worker([{"app": str(FOLDER / "app"), "calls": [call]}])
    assert "RuntimeError" in answer["outcomes"][0]["error"]
    broker.send("text", "x")
    wait_for_log(host, "RuntimeError: function 'returns' without a $return binding returned a non-None value")


def read(folder: Path, name: str) -> dict[str, Any]:
    """What a function wrote; it is taken away, so that the next one is new."""
    path = folder / name
    wait_until(lambda: path.exists() and path.read_text())
    content: dict[str, Any] = json.loads(path.read_text())
    path.unlink()
    return content
