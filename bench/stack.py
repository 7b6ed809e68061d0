"""A stack of its own for a measurement: started on free ports and fresh data, stopped at the end."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

START_SECONDS = 60
ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Stack:
    """Where the stack answers and which processes it is made of."""

    url: str
    data: Path
    settings: dict[str, str]

    def processes(self) -> dict[str, psutil.Process]:
        """The running processes by their names in the stack's log."""
        state = json.loads((self.data / "state.json").read_text())
        rows = {**state["processes"], "supervisor": state["supervisor"]}
        return {name: psutil.Process(row["pid"]) for name, row in rows.items()}

    def cpu_seconds(self) -> dict[str, float]:
        """CPU seconds that each process has used so far."""
        return {name: sum(process.cpu_times()[:2]) for name, process in self.processes().items()}

    def rss_mib(self) -> dict[str, float]:
        """Resident memory of each process in MiB."""
        return {name: process.memory_info().rss / 2**20 for name, process in self.processes().items()}


@contextlib.contextmanager
def running_stack(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A stack for the length of a `with` block. Raises RuntimeError with its log when it does not start."""
    with tempfile.TemporaryDirectory(prefix="dtq-bench-") as folder:
        log = Path(folder) / "up.log"
        data = Path(folder) / "data"
        with log.open("w") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "local", "up", "--port", "0", "--data", str(data), *arguments],
                cwd=ROOT,
                env={**os.environ, **(env or {})},
                stdout=errors,
                stderr=errors,
            )
        try:
            yield Stack(_ready_url(process, log), data, _settings(data))
        finally:
            process.terminate()
            process.wait(60)


def _ready_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("ready "):
                return line.split()[1]
        time.sleep(0.1)
    raise RuntimeError(f"the stack did not start:\n{log.read_text(errors='replace')}")


def _settings(data: Path) -> dict[str, str]:
    command = [sys.executable, "-m", "local", "env", "--data", str(data)]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    return dict(line.split("=", 1) for line in lines)
