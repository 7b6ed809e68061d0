"""Processes told apart for certain: a pid alone may have passed to a stranger, a pid with its start time has not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class ProcessId:
    """One process of this machine: its pid and when it started, as the system words it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        return cls(pid, _start_time(pid) or "")

    @classmethod
    def from_json(cls, value: Any) -> ProcessId | None:
        """What `to_json` gave; None for anything else."""
        match value:
            case {"pid": int(pid), "started": str(started)}:
                return cls(pid, started)
        return None

    def to_json(self) -> dict[str, object]:
        return asdict(self)

    def runs(self) -> bool:
        return bool(self.started) and _start_time(self.pid) == self.started

    def stop(self, number: signal.Signals, seconds: float) -> None:
        """Send `number`, wait up to `seconds` for the end, then SIGKILL. For processes that are no children of ours."""
        deadline = time.monotonic() + seconds
        self._send(number)
        while self.runs():
            if time.monotonic() > deadline:
                self._send(signal.SIGKILL)
            time.sleep(_POLL_SECONDS)

    def _send(self, number: signal.Signals) -> None:
        if self.runs():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return


def _start_time(pid: int) -> str | None:
    """When the process started; None when there is no such process, or only its zombie."""
    if not sys.platform.startswith("linux"):
        answer = subprocess.run(
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return answer.stdout.strip() or None
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()  # what follows the command's name: proc_pid_stat(5), fields 3 and 22
    return None if fields[0] in {"Z", "X"} else fields[19]
