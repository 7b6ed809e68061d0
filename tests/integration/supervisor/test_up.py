"""The whole stack with its real services, started as a user starts it: `python -m local up`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
import requests
from azure.cosmos import CosmosClient
from azure.data.tables import TableServiceClient
from azure.servicebus import ServiceBusClient, ServiceBusMessage

from tests.integration.supervisor.running import RunningStack, is_running, local, settings_of
from tests.integration.supervisor.waiting import wait_until
from tests.services import ROOT

# Each stack is eight processes: one at a time is plenty for a machine of two cores.
pytestmark = pytest.mark.xdist_group("stack")

_TIMEOUT = 10  # seconds, of any one call


def fields(connection_string: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in connection_string.strip(";").split(";"))


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def start(directory: Path) -> Iterator[Callable[..., RunningStack]]:
    """Start the stack on `directory`; what still runs at the end of the test is stopped."""
    started: list[RunningStack] = []

    def start(*options: str) -> RunningStack:
        started.append(RunningStack(directory, *options))
        return started[-1]

    yield start
    for stack in started:
        stack.stop()


@pytest.fixture
def stack(start: Callable[..., RunningStack]) -> RunningStack:
    return start()


def write_entity(settings: Mapping[str, str]) -> None:
    with TableServiceClient.from_connection_string(settings["TablesConnection"]) as service:
        table = service.create_table_if_not_exists("kept")
        table.upsert_entity({"PartitionKey": "p", "RowKey": "r", "value": 42})


def read_entity(settings: Mapping[str, str]) -> Any:
    with TableServiceClient.from_connection_string(settings["TablesConnection"]) as service:
        return service.get_table_client("kept").get_entity("p", "r")["value"]


def create_database(settings: Mapping[str, str]) -> None:
    with CosmosClient.from_connection_string(settings["CosmosConnection"]) as client:
        client.create_database("kept")


def has_database(settings: Mapping[str, str]) -> bool:
    with CosmosClient.from_connection_string(settings["CosmosConnection"]) as client:
        return [database["id"] for database in client.list_databases()] == ["kept"]


def test_the_settings_of_env_serve_a_strangers_clients(stack: RunningStack, directory: Path) -> None:
    settings = settings_of(directory)
    assert settings["DTQ_URL"] == stack.url

    write_entity(settings)
    assert read_entity(settings) == 42

    create_database(settings)
    assert has_database(settings)

    with ServiceBusClient.from_connection_string(settings["ServiceBusConnection"]) as client:
        with client.get_queue_sender("jobs-dead") as sender:
            sender.send_messages(ServiceBusMessage("hello"))
        with client.get_queue_receiver("jobs-dead", max_wait_time=_TIMEOUT) as receiver:
            message = next(iter(receiver))
            assert str(message) == "hello"
            receiver.complete_message(message)

    signalr = fields(settings["AzureSignalRConnectionString"])
    health = f"{signalr['Endpoint']}:{signalr['Port']}/api/v1/hubs/jobs"
    token = jwt.encode({"aud": health, "exp": 4_000_000_000}, signalr["AccessKey"])
    answer = requests.post(
        health, json={"target": "t", "arguments": []}, headers={"Authorization": f"Bearer {token}"}, timeout=_TIMEOUT
    )
    assert answer.status_code == 202

    user = requests.get(settings["DTQ_GITHUB_URL"] + "/users/octocat", timeout=_TIMEOUT)
    assert user.json()["login"].lower() == "octocat"


def test_no_key_is_shown_to_other_users_nor_logged(stack: RunningStack, directory: Path) -> None:
    keys = json.loads((directory / "keys.json").read_text(encoding="utf-8")).values()
    shown = "\n".join(stack.log)
    if sys.platform.startswith("linux"):
        for pid in (stack.process.pid, *stack.processes.values()):
            shown += Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    assert "cosmos" in shown
    assert not [key for key in keys if key in shown]


def test_a_second_stack_on_the_same_data_is_refused(stack: RunningStack, directory: Path) -> None:
    second = local("up", "--port", "0", "--data", str(directory))
    assert second.returncode == 2
    assert f"another stack runs on {directory} (pid {stack.process.pid})" in second.stderr


def test_a_busy_port_is_named_before_anything_starts(directory: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        answer = local("up", "--port", str(port), "--data", str(directory))
    assert answer.returncode == 2
    assert f"port {port} is in use by pid {os.getpid()}" in answer.stderr
    assert not (directory / "state.json").exists()


def test_a_crashed_service_is_reported_and_restarted_with_its_data(stack: RunningStack, directory: Path) -> None:
    settings = settings_of(directory)
    create_database(settings)
    crashed = stack.processes["cosmos"]
    os.kill(crashed, signal.SIGKILL)
    wait_until(lambda: any("cosmos is ready again" in line for line in stack.log), "the restart of cosmos")
    assert any("cosmos was ended by SIGKILL; restarting in 1 s" in line for line in stack.log)
    assert stack.processes["cosmos"] != crashed
    assert has_database(settings)


def test_ctrl_c_drains_in_order_and_the_next_start_continues(
    start: Callable[..., RunningStack], directory: Path
) -> None:
    first = start()
    settings, processes = settings_of(directory), first.processes
    write_entity(settings)  # Azurite writes its file every 5 s only; an orderly stop must not lose what it answered
    create_database(settings)
    assert first.stop(signal.SIGINT) == 0
    assert not [name for name, pid in processes.items() if is_running(pid)]
    log = first.log
    last_of_hosts = max(index for index, line in enumerate(log) if line.startswith(("front", "worker")))
    azurite_closes = next(index for index, line in enumerate(log) if "Table service is closing" in line)
    assert last_of_hosts < azurite_closes
    answer = local("env", "--data", str(directory))
    assert answer.returncode == 1
    assert f"no stack runs on {directory}. Start one with `python -m local up" in answer.stderr

    second = start()
    again = settings_of(directory)
    assert {**again, "DTQ_URL": ""} == {**settings, "DTQ_URL": ""}
    assert read_entity(again) == 42
    assert has_database(again)
    assert second.stop(signal.SIGTERM) == 0


def test_after_a_kill_of_the_supervisor_nothing_is_left_and_the_data_still_starts(
    start: Callable[..., RunningStack], directory: Path
) -> None:
    first = start()
    processes = first.processes
    create_database(settings_of(directory))
    first.kill()
    # On Linux the kernel tells the services; elsewhere it is the next start that stops them.
    if sys.platform.startswith("linux"):
        wait_until(lambda: not any(map(is_running, processes.values())), "the end of every service")
    start()
    assert not any(map(is_running, processes.values()))
    assert has_database(settings_of(directory))


def test_after_a_kill_of_every_process_the_same_data_starts_again(
    start: Callable[..., RunningStack], directory: Path
) -> None:
    first = start()
    create_database(settings_of(directory))
    for pid in (first.process.pid, *first.processes.values()):
        # A service ends by itself, too, when the supervisor has gone.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    first.process.wait(_TIMEOUT)
    start()
    assert has_database(settings_of(directory))


def test_layout_flex_gives_every_function_group_a_host(start: Callable[..., RunningStack], directory: Path) -> None:
    stack = start("--layout", "flex")
    listing = local("host", "--app", str(ROOT), "--list", env=settings_of(directory))
    queue_functions = {row["name"] for row in json.loads(listing.stdout) if row["trigger"] == "serviceBusTrigger"}
    assert len(queue_functions) >= 4, listing.stderr
    emulators = {"servicebus", "cosmos", "signalr", "azurite", "sandbox"}
    assert stack.processes.keys() == emulators | {"http", "timer"} | queue_functions
    assert requests.get(f"{stack.url}/api/v1/job-types", timeout=_TIMEOUT).status_code == 200


def test_auth_asks_for_the_function_key_that_lies_with_the_data(
    start: Callable[..., RunningStack], directory: Path
) -> None:
    url = f"{start('--auth').url}/api/v1/job-types"
    assert requests.get(url, timeout=_TIMEOUT).status_code == 401
    keys = json.loads((directory / "host/secrets/host.json").read_text(encoding="utf-8"))
    key = keys["functionKeys"][0]["value"]
    assert requests.get(url, headers={"x-functions-key": key}, timeout=_TIMEOUT).status_code == 200


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--port", "70000"], "'70000' is no port"),
        (["--workers", "0"], "'0': give 1 to 64"),
        (["--layout", "flex", "--workers", "2"], "--workers is for --layout shared"),
    ],
)
def test_a_wrong_option_is_refused(options: list[str], complaint: str, directory: Path) -> None:
    answer = local("up", "--data", str(directory), *options)
    assert answer.returncode == 2
    assert complaint in answer.stderr
