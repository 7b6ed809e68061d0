"""The queues on disk: one SQLite file, one transaction for everything that changed in a turn of the event loop.

The fault to survive is kill -9 of this process, so WAL with `synchronous=NORMAL` is enough: a committed transaction has
left the process with write(2), and the kernel keeps it. Only a power failure could lose the last ones (never corrupt
the file), and protecting from that would cost an fsync a commit.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Message bodies kept in memory so that most deliveries need no read; beyond it they are read when they are handed out.
BODY_CACHE_BYTES = 2 * 1024 * 1024
#: Seconds between two removals of outdated entries of the duplicate detection history, while there is traffic.
_PRUNE_INTERVAL = 30.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS queues (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, properties TEXT NOT NULL,
    created_at REAL NOT NULL, updated_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS counters (queue INTEGER PRIMARY KEY, next_sequence_number INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY, queue INTEGER NOT NULL, sequence_number INTEGER NOT NULL,
    enqueue_sequence_number INTEGER NOT NULL, state INTEGER NOT NULL, delivery_count INTEGER NOT NULL,
    enqueued_at REAL NOT NULL, due_at REAL NOT NULL, ttl REAL, size INTEGER NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS history (
    queue INTEGER NOT NULL, message_id TEXT NOT NULL, expires_at REAL NOT NULL,
    PRIMARY KEY (queue, message_id)) WITHOUT ROWID;
"""
_INSERT = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE messages SET sequence_number=?, state=?, delivery_count=?, enqueued_at=?, due_at=? WHERE id=?"


@dataclass(slots=True, eq=False)
class Message:
    """A message that waits in a queue. Times in seconds since the epoch."""

    id: int
    queue: int
    sequence_number: int
    enqueue_sequence_number: int
    state: int
    delivery_count: int
    enqueued_at: float
    due_at: float  # when a scheduled message becomes active, else 0
    ttl: float  # seconds that it lives once active
    size: int
    body: bytes | None  # None: on disk only
    lock_token: bytes | None = None
    locked_until: float = 0.0

    @property
    def expires_at(self) -> float:
        return self.enqueued_at + self.ttl


@dataclass
class QueueRow:
    """A queue as it is kept: its properties as plain JSON values."""

    id: int
    name: str
    properties: dict[str, Any]
    created_at: float
    updated_at: float


@dataclass
class _Turn:
    """What changed since the last commit."""

    added: dict[int, Message] = field(default_factory=dict)
    changed: dict[int, Message] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    counters: dict[int, int] = field(default_factory=dict)
    history: dict[tuple[int, str], float] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.counters or self.history)


class Store:
    """Collects changes in memory and writes them with `commit`; what is read includes what was not committed yet."""

    def __init__(self, path: Path | None) -> None:
        """Open or create the file at `path`; None keeps everything in memory."""
        self._db = sqlite3.connect(":memory:" if path is None else path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_SCHEMA)
        self._next_id = 1 + (self._db.execute("SELECT max(id) FROM messages").fetchone()[0] or 0)
        self._turn = _Turn()
        self._cached_bytes = 0
        self._pruned_at = 0.0

    def close(self) -> None:
        self._db.close()

    def next_message_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    def queues(self) -> list[QueueRow]:
        rows = self._db.execute("SELECT id, name, properties, created_at, updated_at FROM queues ORDER BY id")
        return [QueueRow(key, name, json.loads(text), created, updated) for key, name, text, created, updated in rows]

    def save_queue(self, row: QueueRow) -> None:
        """Insert or replace a queue's definition, at once."""
        self._db.execute(
            "INSERT OR REPLACE INTO queues VALUES (?, ?, ?, ?, ?)",
            (row.id, row.name, json.dumps(row.properties), row.created_at, row.updated_at),
        )

    def delete_queue(self, keys: list[int]) -> None:
        """Remove the definition and the messages of a queue and its dead-letter queue, at once."""
        self.commit(0.0)
        self._db.execute("BEGIN")
        rows = [(key,) for key in keys]
        self._db.executemany("DELETE FROM queues WHERE id=?", rows)
        self._db.executemany("DELETE FROM messages WHERE queue=?", rows)
        self._db.executemany("DELETE FROM counters WHERE queue=?", rows)
        self._db.executemany("DELETE FROM history WHERE queue=?", rows)
        self._db.execute("COMMIT")

    def counter(self, queue: int) -> int:
        """The next sequence number of a queue; 1 in a new one."""
        row = self._db.execute("SELECT next_sequence_number FROM counters WHERE queue=?", (queue,)).fetchone()
        return int(row[0]) if row else 1

    def set_counter(self, queue: int, value: int) -> None:
        self._turn.counters[queue] = value

    def messages(self, queue: int) -> Iterator[Message]:
        """The messages of one queue in the order of their sequence numbers, bodies left on disk."""
        rows = self._db.execute(
            "SELECT id, queue, sequence_number, enqueue_sequence_number, state, delivery_count, enqueued_at, due_at,"
            " ttl, size FROM messages WHERE queue=? ORDER BY sequence_number",
            (queue,),
        )
        for key, _, number, enqueue_number, state, count, enqueued_at, due_at, ttl, size in rows:
            seconds = math.inf if ttl is None else ttl
            yield Message(key, queue, number, enqueue_number, state, count, enqueued_at, due_at, seconds, size, None)

    def add(self, message: Message) -> None:
        self._turn.added[message.id] = message
        self._cached_bytes += message.size

    def change(self, message: Message) -> None:
        """Keep the message's state as it is when the turn is committed."""
        if message.id not in self._turn.added:
            self._turn.changed[message.id] = message

    def remove(self, message: Message) -> None:
        self._turn.changed.pop(message.id, None)
        if self._turn.added.pop(message.id, None) is None:
            self._turn.removed.add(message.id)
        if message.body is not None:
            self._cached_bytes -= message.size

    def body(self, message: Message) -> bytes:
        if message.body is not None:
            return message.body
        return bytes(self._db.execute("SELECT body FROM messages WHERE id=?", (message.id,)).fetchone()[0])

    def seen_before(self, queue: int, message_id: str, now: float, until: float) -> bool:
        """Whether the queue took this message id within its history window; if not, remember it `until` then."""
        key = (queue, message_id)
        if key in self._turn.history:
            return True
        row = self._db.execute("SELECT expires_at FROM history WHERE queue=? AND message_id=?", key).fetchone()
        if row is not None and row[0] > now:
            return True
        self._turn.history[key] = until
        return False

    def commit(self, now: float) -> None:
        """Write all changes in one transaction. On an error memory and disk disagree: the caller must stop."""
        turn = self._turn
        if not turn:
            return
        run = self._db.executemany
        self._db.execute("BEGIN")
        if turn.added:
            run(_INSERT, [_row(message) for message in turn.added.values()])
        if turn.changed:
            run(_UPDATE, [_changes(message) for message in turn.changed.values()])
        if turn.removed:
            run("DELETE FROM messages WHERE id=?", [(key,) for key in turn.removed])
        if turn.counters:
            run("INSERT OR REPLACE INTO counters VALUES (?, ?)", list(turn.counters.items()))
        if turn.history:
            run("INSERT OR REPLACE INTO history VALUES (?, ?, ?)", [(*key, at) for key, at in turn.history.items()])
        if now - self._pruned_at > _PRUNE_INTERVAL:
            self._pruned_at = now
            # A scan, because an index on the expiry would be one page more in every commit.
            self._db.execute("DELETE FROM history WHERE expires_at <= ?", (now,))
        self._db.execute("COMMIT")
        self._turn = _Turn()
        if self._cached_bytes > BODY_CACHE_BYTES:
            for message in turn.added.values():
                message.body = None
                self._cached_bytes -= message.size


def _kept_delivery_count(message: Message) -> int:
    """A locked message is kept as delivered: after a crash its delivery counts, though its lock is gone."""
    return message.delivery_count + (message.lock_token is not None)


def _row(message: Message) -> tuple[Any, ...]:
    return (
        message.id,
        message.queue,
        message.sequence_number,
        message.enqueue_sequence_number,
        message.state,
        _kept_delivery_count(message),
        message.enqueued_at,
        message.due_at,
        None if message.ttl == math.inf else message.ttl,
        message.size,
        message.body,
    )


def _changes(message: Message) -> tuple[Any, ...]:
    count = _kept_delivery_count(message)
    return message.sequence_number, message.state, count, message.enqueued_at, message.due_at, message.id
