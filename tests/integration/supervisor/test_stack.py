"""Starting, restarting and stopping, shown with small stand-in services that are real processes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from local.supervisor import child
from local.supervisor.errors import ServiceGaveUpError
from local.supervisor.log import Log
from local.supervisor.services import Service
from local.supervisor.stack import Stack
from local.supervisor.state import StateFile

_WELL_BEHAVED = """
import signal, sys
print("ready http://127.0.0.1:1", flush=True)
signal.sigwait({signal.SIGTERM})
print("bye", flush=True)
"""
_STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: print("not yet", flush=True))
print("ready http://127.0.0.1:1", flush=True)
while True:
    time.sleep(60)
"""


def service(name: str, program: str, *, is_host: bool = False) -> Service:
    masked = f"import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n{program}"
    source = masked if program is _WELL_BEHAVED else program
    return Service(name, (sys.executable, "-S", "-c", source), {}, is_host=is_host)


class Harness:
    """A stack of stand-ins, and what it logged."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lines: list[tuple[str, str]] = []
        self.logged = asyncio.Event()
        monkeypatch.setattr(Log, "write", self._write)
        self.stack = Stack(Log(), StateFile(tmp_path, {}))
        self.ready = asyncio.Event()

    def _write(self, name: str, line: str) -> None:
        self.lines.append((name, line))
        self.logged.set()

    def start(self, emulators: Sequence[Service], hosts: Sequence[Service] = ()) -> asyncio.Task[int]:
        async def give_hosts() -> Sequence[Service]:
            return hosts

        return asyncio.create_task(self.stack.run(emulators, give_hosts, lambda _: self.ready.set()))

    async def line(self, name: str, text: str) -> None:
        """Wait until `name` logged a line with `text`."""
        async with asyncio.timeout(10):
            while not any(name == who and text in line for who, line in self.lines):
                self.logged.clear()
                await self.logged.wait()


@pytest.fixture
async def harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Harness:
    monkeypatch.setattr(child, "RESTART_DELAYS", (0.05,))
    return Harness(tmp_path, monkeypatch)


async def test_a_signal_stops_the_hosts_before_the_services_they_use(harness: Harness) -> None:
    run = harness.start([service("cosmos", _WELL_BEHAVED)], [service("front", _WELL_BEHAVED, is_host=True)])
    await asyncio.wait_for(harness.ready.wait(), 10)
    harness.stack.on_signal(signal.SIGTERM)
    assert await asyncio.wait_for(run, 10) == 0
    assert [name for name, line in harness.lines if line == "bye"] == ["front", "cosmos"]


async def test_a_signal_stops_what_is_only_starting(harness: Harness) -> None:
    run = harness.start([service("cosmos", "import time; time.sleep(60)")])
    await asyncio.sleep(0)  # the task runs up to the start of the process, not to its end
    harness.stack.on_signal(signal.SIGTERM)
    assert await asyncio.wait_for(run, 10) == 0
    assert not harness.ready.is_set()


async def test_a_second_signal_kills(harness: Harness) -> None:
    run = harness.start([service("cosmos", _STUBBORN)])
    await asyncio.wait_for(harness.ready.wait(), 10)
    harness.stack.on_signal(signal.SIGINT)
    await harness.line("cosmos", "not yet")
    harness.stack.on_signal(signal.SIGINT)
    assert await asyncio.wait_for(run, 10) == 128 + signal.SIGINT


async def test_one_that_does_not_stop_is_killed_in_the_end(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.supervisor.stack.STOP_SECONDS", 0.2)
    run = harness.start([service("cosmos", _STUBBORN)])
    await asyncio.wait_for(harness.ready.wait(), 10)
    harness.stack.on_signal(signal.SIGTERM)
    assert await asyncio.wait_for(run, 10) == 0
    assert ("local", "cosmos did not stop within 0.2 s; killing it") in harness.lines


async def test_a_service_that_never_comes_up_ends_the_stack_with_its_reason(harness: Harness) -> None:
    run = harness.start(
        [service("cosmos", "raise SystemExit('no such file')"), service("signalr", _WELL_BEHAVED)],
    )
    with pytest.raises(ServiceGaveUpError, match="cosmos stopped with exit status 1, 3 times in a row"):
        await asyncio.wait_for(run, 10)
    assert harness.lines.count(("cosmos", "no such file")) == 3
    assert ("local", "cosmos stopped with exit status 1; restarting in 0.05 s") in harness.lines
    assert not harness.ready.is_set()


async def test_one_that_says_nothing_is_not_waited_for_for_ever(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "READY_SECONDS", 0.1)
    run = harness.start([service("cosmos", "import time; time.sleep(60)")])
    with pytest.raises(ServiceGaveUpError, match=r"cosmos was not ready within 0\.1 s"):
        await asyncio.wait_for(run, 10)


async def test_a_program_that_is_not_installed_is_named(harness: Harness) -> None:
    run = harness.start([Service("azurite", ("no-such-program",), {})])
    with pytest.raises(ServiceGaveUpError, match="no-such-program is not installed"):
        await asyncio.wait_for(run, 10)


async def test_long_and_odd_output_is_passed_on(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "START_ATTEMPTS", 1)
    program = "import sys; sys.stdout.buffer.write(b'x' * 40_000 + b'\\n\\xff\\nlast'); sys.exit(3)"
    run = harness.start([service("cosmos", program)])
    with pytest.raises(ServiceGaveUpError):
        await asyncio.wait_for(run, 10)
    lines = [line for name, line in harness.lines if name == "cosmos"]
    assert "".join(lines) == "x" * 40_000 + "\N{REPLACEMENT CHARACTER}" + "last"
    assert lines[-2:] == ["\N{REPLACEMENT CHARACTER}", "last"]
