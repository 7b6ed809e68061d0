"""`python -m local up` as a user runs it, with its output in a file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.integration.supervisor.waiting import wait_until
from tests.services import ROOT

_READY_SECONDS = 60
_STOP_SECONDS = 60


class RunningStack:
    """A stack that is ready; its constructor raises AssertionError with the output when it is not in time."""

    def __init__(self, directory: Path, *options: str, env: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self._output = directory.with_suffix(".log")
        command = [sys.executable, "-m", "local", "up", "--port", "0", "--data", str(directory), *options]
        with self._output.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **(env or {})}, stdout=file, stderr=subprocess.STDOUT
            )
        try:
            wait_until(self._is_ready_or_gone, "the stack's ready line", _READY_SECONDS)
        finally:
            if not self._ready_lines():
                self.kill()
        assert self._ready_lines(), "\n".join(self.log)
        self.url = self._ready_lines()[0].split()[1]

    @property
    def log(self) -> list[str]:
        return self._output.read_text(encoding="utf-8").splitlines()

    @property
    def processes(self) -> dict[str, int]:
        """Each service's pid."""
        state = json.loads((self.directory / "state.json").read_text(encoding="utf-8"))
        return {name: entry["pid"] for name, entry in state["processes"].items()}

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send `number`, wait for the end and return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(_STOP_SECONDS)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)

    def _is_ready_or_gone(self) -> bool:
        return bool(self._ready_lines()) or self.process.poll() is not None

    def _ready_lines(self) -> list[str]:
        return [line for line in self.log if line.startswith("ready ")]


def local(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `python -m local ARGUMENTS` to its end, with `env` added to its environment."""
    command = [sys.executable, "-m", "local", *arguments]
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=_READY_SECONDS,
        check=False,
    )


def settings_of(directory: Path) -> dict[str, str]:
    """What `python -m local env` prints."""
    answer = local("env", "--data", str(directory))
    assert answer.returncode == 0, answer.stderr
    return dict(line.split("=", 1) for line in answer.stdout.splitlines())


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
