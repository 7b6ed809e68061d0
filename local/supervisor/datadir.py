"""The data directory: who holds it, and the private JSON files in it."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any

from local.supervisor.errors import StackError

_LOCK = "lock"


def write_private(path: Path, value: object) -> None:
    """Replace `path` by `value` as JSON, atomically, readable by its owner alone (0600): it may carry keys."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in `path`, empty when there is no such file. Raises StackError when it is no JSON object."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise StackError(f"{path} is damaged: it is no JSON object. Remove it, or use another --data DIR.")
    return value


class DataDirectory:
    """Holds DIR for one supervisor at a time by flock(2), which the kernel lets go however the holder ends."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: int | None = None

    def acquire(self) -> None:
        """Create DIR (0700) and take it; raises StackError naming the pid of the stack that runs on it."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 32).decode().strip() or "unknown"
            os.close(descriptor)
            raise StackError(
                f"another stack runs on {self.path} (pid {holder}); stop it, or use another --data DIR."
            ) from None
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
        self._lock = descriptor

    def release(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
