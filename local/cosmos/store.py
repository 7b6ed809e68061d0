"""What the emulator keeps: databases, containers and items in one SQLite file.

Every statement outside `transaction()` is its own transaction and is committed when it returns. In WAL mode a
commit survives the end of the process however it comes (kill -9); `synchronous=NORMAL` may lose the last commits when
the whole machine loses power, never the file's consistency.

`items.expires` is `_ts` + time to live, in whole seconds; an item is gone once the clock's whole second is past it, so
it lives its full time and less than one second more.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from local.cosmos import resources
from local.cosmos.errors import conflict, owner_not_found
from local.cosmos.resources import Container

_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -2048;
CREATE TABLE IF NOT EXISTS databases (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body TEXT);
CREATE TABLE IF NOT EXISTS containers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, database INTEGER NOT NULL, id TEXT NOT NULL, body TEXT,
    UNIQUE (database, id)
);
CREATE TABLE IF NOT EXISTS items (
    number INTEGER PRIMARY KEY, container INTEGER NOT NULL, partition_key TEXT NOT NULL, id TEXT NOT NULL,
    version INTEGER NOT NULL, expires INTEGER, body TEXT NOT NULL,
    UNIQUE (container, partition_key, id)
);
CREATE INDEX IF NOT EXISTS items_expires ON items (expires) WHERE expires IS NOT NULL;
"""
#: At most so many expired rows go in one transaction, so that requests never wait for a long one.
PURGE_BATCH = 500


class Item(NamedTuple):
    """A stored item. `version` makes its etag; `number` never changes and makes its _rid; `body` is JSON."""

    number: int
    version: int
    body: bytes


def etag(version: int) -> str:
    return f'"{version >> 32:08x}-0000-0000-0000-{version & 0xFFFFFFFF:012x}"'


class Store:
    """The one writer of the file; used from one thread."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(file, isolation_level=None, cached_statements=64)
        self._connection.executescript(_SCHEMA)
        (last,) = self._connection.execute("SELECT COALESCE(MAX(version), 0) FROM items").fetchone()
        self._last_version: int = last
        self._containers: dict[tuple[str, str], Container] = {}

    def close(self) -> None:
        self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements of the block, or none when it raises."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    # --- databases and containers -------------------------------------------------------------------------------

    def databases(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for (body,) in self._connection.execute("SELECT body FROM databases")]

    def database(self, identifier: str) -> tuple[int, dict[str, Any]]:
        """Its number and document; 404 when there is none."""
        row = self._connection.execute("SELECT number, body FROM databases WHERE id = ?", (identifier,)).fetchone()
        if row is None:
            raise owner_not_found(f"database {identifier!r}")
        return row[0], msgspec.json.decode(row[1])

    def create_database(self, identifier: str) -> dict[str, Any]:
        with self.transaction():
            number = self._insert("INSERT INTO databases (id) VALUES (?)", (identifier,))
            body = resources.database(number, identifier)
            self._connection.execute("UPDATE databases SET body = ? WHERE number = ?", (_text(body), number))
        return body

    def delete_database(self, identifier: str) -> None:
        number, _ = self.database(identifier)
        with self.transaction():
            self._connection.execute(
                "DELETE FROM items WHERE container IN (SELECT number FROM containers WHERE database = ?)", (number,)
            )
            self._connection.execute("DELETE FROM containers WHERE database = ?", (number,))
            self._connection.execute("DELETE FROM databases WHERE number = ?", (number,))
        self._containers.clear()

    def containers(self, database: str) -> list[dict[str, Any]]:
        number, _ = self.database(database)
        rows = self._connection.execute("SELECT body FROM containers WHERE database = ? ORDER BY number", (number,))
        return [msgspec.json.decode(body) for (body,) in rows]

    def container(self, database: str, identifier: str) -> Container:
        """404 with substatus 1003 when there is none."""
        found = self._containers.get((database, identifier))
        if found is None:
            row = self._connection.execute(
                "SELECT number, body FROM containers WHERE database = ? AND id = ?",
                (self.database(database)[0], identifier),
            ).fetchone()
            if row is None:
                raise owner_not_found(f"container {identifier!r} of database {database!r}")
            found = resources.load_container(row[0], msgspec.json.decode(row[1]))
            self._containers[database, identifier] = found
        return found

    def create_container(self, database: str, settings: dict[str, Any]) -> dict[str, Any]:
        owner, _ = self.database(database)
        with self.transaction():
            number = self._insert("INSERT INTO containers (database, id) VALUES (?, ?)", (owner, settings["id"]))
            body = resources.container(owner, number, settings)
            self._connection.execute("UPDATE containers SET body = ? WHERE number = ?", (_text(body), number))
        return body

    def replace_container(self, database: str, container: Container, settings: dict[str, Any]) -> dict[str, Any]:
        """New settings; the items' expiry follows a changed default TTL."""
        owner, _ = self.database(database)
        body = resources.container(owner, container.number, settings)
        with self.transaction():
            self._connection.execute("UPDATE containers SET body = ? WHERE number = ?", (_text(body), container.number))
            default_ttl = body.get("defaultTtl")
            if default_ttl != container.default_ttl:
                self._connection.execute(
                    "UPDATE items SET expires = CASE WHEN :default IS NULL THEN NULL"
                    " WHEN COALESCE(json_extract(body, '$.ttl'), :default) = -1 THEN NULL"
                    " ELSE json_extract(body, '$._ts') + COALESCE(json_extract(body, '$.ttl'), :default) END"
                    " WHERE container = :container",
                    {"default": default_ttl, "container": container.number},
                )
        self._containers.clear()
        return body

    def delete_container(self, container: Container) -> None:
        with self.transaction():
            self._connection.execute("DELETE FROM items WHERE container = ?", (container.number,))
            self._connection.execute("DELETE FROM containers WHERE number = ?", (container.number,))
        self._containers.clear()

    def _insert(self, sql: str, values: tuple[Any, ...]) -> int:
        try:
            return int(self._connection.execute(sql, values).lastrowid or 0)
        except sqlite3.IntegrityError:
            raise conflict() from None

    # --- items --------------------------------------------------------------------------------------------------

    @property
    def last_version(self) -> int:
        return self._last_version

    def next_version(self) -> int:
        """Grows with every write, and over restarts because it follows the clock: an etag is never used twice."""
        self._last_version = max(self._last_version + 1, time.time_ns() // 1000)
        return self._last_version

    def item(self, container: Container, partition_key: str, identifier: str) -> Item | None:
        """The item unless it is missing or expired."""
        row = self._connection.execute(
            "SELECT number, version, CAST(body AS BLOB) FROM items WHERE container = ? AND partition_key = ? AND id = ?"
            " AND (expires IS NULL OR expires >= ?)",
            (container.number, partition_key, identifier, int(time.time())),
        ).fetchone()
        return None if row is None else Item(*row)

    def put(
        self,
        container: Container,
        partition_key: str,
        identifier: str,
        item: Item,
        expires: int | None,
    ) -> None:
        """Insert the item or put it in the place of the one with this key, expired ones included."""
        self._connection.execute(
            "INSERT INTO items (number, container, partition_key, id, version, expires, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (container, partition_key, id) DO UPDATE SET"
            " number = excluded.number, version = excluded.version, expires = excluded.expires, body = excluded.body",
            (item.number, container.number, partition_key, identifier, item.version, expires, item.body.decode()),
        )

    def delete(self, item: Item) -> None:
        self._connection.execute("DELETE FROM items WHERE number = ?", (item.number,))

    def purge(self) -> int:
        """Remove up to PURGE_BATCH expired items; returns how many went."""
        return self._connection.execute(
            "DELETE FROM items WHERE number IN (SELECT number FROM items WHERE expires < ? LIMIT ?)",
            (int(time.time()), PURGE_BATCH),
        ).rowcount


def _text(body: dict[str, Any]) -> str:
    return msgspec.json.encode(body).decode()
