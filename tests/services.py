"""Start a local service as the process that it is, and wait for its `ready` line."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass
class Service:
    """A running `python -m local NAME`: its process, the URL of its `ready` line and what it logged so far."""

    name: str
    process: subprocess.Popen[str]
    url: str
    log: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1].split("/")[0])

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 20) -> int:
        """Send `number`, wait for the end and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(timeout)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)


def start_service(name: str, *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 30) -> Service:
    """Start `python -m local NAME ARGUMENTS`; raises AssertionError with its log when it is not ready in time."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local", name, *arguments],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log: list[str] = []
    ready: queue.Queue[str | None] = queue.Queue()

    def read_stdout() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if line.startswith("ready "):
                    ready.put(line.split()[1])
                else:
                    log.append(line.rstrip())
        ready.put(None)

    def read_stderr() -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                log.append(line.rstrip())

    for target in (read_stdout, read_stderr):
        threading.Thread(target=target, daemon=True).start()
    try:
        url = ready.get(timeout=timeout)
    except queue.Empty:
        url = None
    if url is None:
        process.kill()
        process.wait()
        raise AssertionError(f"local {name} was not ready within {timeout} s:\n" + "\n".join(log))
    return Service(name, process, url, log)


@contextlib.contextmanager
def running(name: str, *arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Service]:
    """A service for the length of a `with` block."""
    service = start_service(name, *arguments, env=env)
    try:
        yield service
    finally:
        service.stop()
