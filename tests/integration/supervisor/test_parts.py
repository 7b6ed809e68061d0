"""The supervisor's parts by themselves: ports, keys, the data directory, and what an earlier stack left."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.supervisor import keys, ports
from local.supervisor.datadir import DataDirectory, read_json, write_private
from local.supervisor.errors import StackError
from local.supervisor.processes import ProcessId
from local.supervisor.settings import app_settings
from local.supervisor.state import StateFile, running_settings, stop_leftovers


@pytest.fixture
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def test_a_busy_port_is_named_with_its_holder_and_the_way_out(listener: int) -> None:
    with pytest.raises(StackError, match=rf"port {listener} is in use by .*--port 0") as error:
        ports.require_free(listener)
    if sys.platform.startswith("linux"):
        assert f"pid {os.getpid()} (" in str(error.value)


def test_remembered_ports_are_kept_but_for_those_in_use(listener: int) -> None:
    first = ports.choose(["cosmos", "signalr"], {}, 0)
    second = ports.choose(["cosmos", "signalr"], first | {"signalr": listener}, 7071)
    assert second["cosmos"] == first["cosmos"]
    assert second["signalr"] != listener
    assert second["front"] == 7071
    assert len(set(first.values())) == 3


def test_a_remembered_port_never_is_the_front_one() -> None:
    free = ports.choose([], {}, 0)["front"]
    assert ports.choose(["cosmos"], {"cosmos": free}, free)["cosmos"] != free


def test_keys_are_made_once_and_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    made = keys.load_or_create(file)
    assert keys.load_or_create(file) == made
    assert len(set(made.values())) == 4
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keys_that_a_new_service_needs_are_added(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write_private(file, {"cosmos": "kept"})
    assert keys.load_or_create(file)["cosmos"] == "kept"
    assert read_json(file).keys() == {"servicebus", "cosmos", "azurite", "signalr"}


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text("[", encoding="utf-8")
    with pytest.raises(StackError, match=r"keys\.json is damaged"):
        keys.load_or_create(file)


def test_one_directory_has_one_holder(tmp_path: Path) -> None:
    first, second = DataDirectory(tmp_path), DataDirectory(tmp_path)
    first.acquire()
    with pytest.raises(StackError, match=rf"another stack runs on .*\(pid {os.getpid()}\)"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_live_settings_leave_the_providers_to_the_app() -> None:
    chosen = ports.choose(["servicebus", "cosmos", "signalr", "azurite"], {}, 0)
    made = dict.fromkeys(("servicebus", "cosmos", "signalr", "azurite"), "key")
    assert not any(name.startswith("DTQ_") for name in app_settings(chosen, made))
    assert app_settings(chosen | {"sandbox": 1}, made)["DTQ_QUOTE_URL"] == "http://127.0.0.1:1/quotes"


def test_settings_are_told_once_the_stack_is_ready(tmp_path: Path) -> None:
    state = StateFile(tmp_path, {"NAME": "value"})
    with pytest.raises(LookupError, match="no stack runs"):
        running_settings(tmp_path)
    state.started("cosmos", os.getpid(), signal.SIGTERM)
    with pytest.raises(LookupError, match="still starting"):
        running_settings(tmp_path)
    state.ready("http://127.0.0.1:1")
    assert running_settings(tmp_path) == {"NAME": "value"}
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    state.remove()
    with pytest.raises(LookupError, match="python -m local up"):
        running_settings(tmp_path)


def test_what_an_earlier_stack_left_is_stopped(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    StateFile(tmp_path, {}).started("cosmos", sleeper.pid, signal.SIGINT)
    # The sleeper is this test's own child: a waiter takes its zombie away, as init does with an orphan.
    assert stop_leftovers(tmp_path) == [f"cosmos (pid {sleeper.pid})"]
    assert sleeper.wait(5) != 0
    assert stop_leftovers(tmp_path) == []


def test_a_pid_that_passed_to_a_stranger_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    write_private(
        tmp_path / "state.json",
        {"processes": {"cosmos": {"pid": sleeper.pid, "started": "long ago", "stop_signal": "SIGTERM"}}},
    )
    assert stop_leftovers(tmp_path) == []
    assert sleeper.poll() is None
    assert not ProcessId(sleeper.pid, "long ago").runs()
    assert ProcessId.of(sleeper.pid).runs()
