"""DIR/state.json: what the running stack tells `local env`, and what the next `up` must clear away after a kill -9."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from local.supervisor.datadir import read_json, write_private
from local.supervisor.processes import ProcessId

_FILE = "state.json"
_LEFTOVER_SECONDS = 15.0


class StateFile:
    """Written whole and atomically (0600: settings carry keys) at every change; gone after an orderly stop."""

    def __init__(self, directory: Path, settings: Mapping[str, str]) -> None:
        self._path = directory / _FILE
        self._state: dict[str, Any] = {
            "supervisor": ProcessId.of(os.getpid()).to_json(),
            "url": None,
            "settings": dict(settings),
            "processes": {},
        }

    def ready(self, url: str) -> None:
        self._state["url"] = url
        write_private(self._path, self._state)

    def started(self, name: str, pid: int, stop_signal: signal.Signals) -> None:
        entry = {**ProcessId.of(pid).to_json(), "stop_signal": stop_signal.name}
        self._state["processes"][name] = entry
        write_private(self._path, self._state)

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)


def stop_leftovers(directory: Path) -> list[str]:
    """Stop what an earlier stack on `directory`, which the caller holds, left behind; returns what that was."""
    stopped = []
    for name, entry in read_json(directory / _FILE).get("processes", {}).items():
        process = ProcessId.from_json({key: entry.get(key) for key in ("pid", "started")})
        if process is not None and process.runs():
            process.stop(signal.Signals[entry["stop_signal"]], _LEFTOVER_SECONDS)
            stopped.append(f"{name} (pid {process.pid})")
    return stopped


def running_settings(directory: Path) -> dict[str, str]:
    """The settings of the stack that runs and is ready on `directory`; raises LookupError saying why there is none."""
    state = read_json(directory / _FILE)
    supervisor = ProcessId.from_json(state.get("supervisor"))
    if supervisor is None or not supervisor.runs():
        raise LookupError(
            f"no stack runs on {directory}. Start one with `python -m local up --data {directory}` (or `make run`)."
        )
    if state["url"] is None:
        raise LookupError(
            f"the stack on {directory} (pid {supervisor.pid}) is still starting; try again when it is ready."
        )
    settings: dict[str, str] = state["settings"]
    return settings
