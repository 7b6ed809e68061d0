"""What happened, as one line of JSON an event: written by every process of a chaos run, read by the checker."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened at the time `at` (seconds, one machine's clock, never skewed).

    Kinds, by who saw them. The client: `accepted` (with the Idempotency-Key where one was sent), `observed` (a GET's
    state; `missing` for a 404), `result` (what GET result answered, `missing` where there is none), `cancel` (the state
    that DELETE answered), `retried` (a retry or replay was accepted). The workers: `delivery` (a message came),
    `start`, `effect` and `end` of a handler, `claiming` (a claim is about to be written), `status` (a stored change of
    state from `old`), `stored` (a stored result); the last two are recorded when they were acknowledged, and `began`
    when the call was made. The harness: `table_killed`.
    """

    at: float
    kind: str
    began: float = 0
    job: str = ""
    run: int = 1
    attempt: int = 0
    fence: int = 0
    old: str = ""
    state: str = ""
    delivery: str = ""
    key: str = ""
    value: str = ""
    pid: int = 0


class History:
    """Appends events to a file; many processes may share it, for a line is one write in append mode."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def record(self, kind: str, job: str = "", **fields: str | float) -> None:
        """Add an event that happened now."""
        event = msgspec.convert({"at": time.time(), "kind": kind, "job": job, "pid": os.getpid(), **fields}, Event)
        os.write(self._file, msgspec.json.encode(event) + b"\n")

    def read(self) -> list[Event]:
        """All events so far, in order of their times."""
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]  # the last line may be half written
        return sorted(decode(whole.splitlines()), key=lambda event: event.at)


def decode(lines: Iterable[bytes]) -> list[Event]:
    """Events of lines. Raises msgspec.DecodeError for a line that is none."""
    decoder = msgspec.json.Decoder(Event)
    return [decoder.decode(line) for line in lines]
