"""Runs queries page by page, in worker threads with read-only connections: point operations do not wait for them."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from local.cosmos.query import paging
from local.cosmos.query.engine import compile_query
from local.cosmos.query.indexing import check_order_by
from local.cosmos.query.paging import Position, Row
from local.cosmos.query.pushdown import sql_conditions
from local.cosmos.request import Query
from local.cosmos.resources import Container

THREADS = 2
MAX_PAGE_COUNT = 1000
_SCAN = (
    "SELECT partition_key, id, CAST(body AS BLOB) FROM items WHERE container = ? AND (expires IS NULL OR expires >= ?)"
)


class Page(NamedTuple):
    """One page of results: `documents` is JSON, comma-separated; `continuation` is None on the last page."""

    documents: bytes
    size: int
    continuation: str | None
    charge: float


class Reader:
    """Reads committed items of the store's file."""

    def __init__(self, file: Path) -> None:
        self._uri = f"{file.resolve().as_uri()}?mode=ro"
        self._local = threading.local()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="query")

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def page(
        self, container: Container, partition_key: str | None, query: Query, count: int, continuation: str | None
    ) -> Page:
        """The next page of at most `count` results (-1: as many as 1000, or 4 MB).

        `partition_key` None reads all partitions. 400 for a query that is wrong, unsupported, or not the one that the
        continuation came from.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, self._run, container, partition_key, query, count, continuation
        )

    def _run(
        self, container: Container, partition_key: str | None, query: Query, count: int, continuation: str | None
    ) -> Page:
        compiled = compile_query(query.text)
        base = compiled.scope(query.parameters)
        check_order_by(container.definition["indexingPolicy"], compiled.select.order_by)
        owner = paging.fingerprint(query, partition_key)
        start = Position() if continuation is None else paging.decode(continuation, owner)
        sql = _SCAN
        values: list[Any] = [container.number, int(time.time())]
        if partition_key is not None:
            sql, values = f"{sql} AND partition_key = ?", [*values, partition_key]
        if continuation is not None and paging.streams(compiled):
            sql, values = f"{sql} AND (partition_key, id) > (?, ?)", [*values, start.partition_key, start.id]
        conditions, constants = sql_conditions(compiled.select, query.parameters)
        sql += conditions + " ORDER BY partition_key, id"
        scanned = 0

        def rows(cursor: sqlite3.Cursor) -> Iterator[Row]:
            nonlocal scanned
            for found in cursor:
                scanned += 1
                yield Row(*found)

        with contextlib.closing(self._connection().execute(sql, [*values, *constants])) as cursor:
            limit = count if 0 < count < MAX_PAGE_COUNT else MAX_PAGE_COUNT
            results, following = paging.cut(compiled, base, rows(cursor), start, limit)
        token = None if following is None else paging.encode(following, owner)
        return Page(b",".join(results), len(results), token, 2.3 + 0.03 * scanned)

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = sqlite3.connect(self._uri, uri=True, isolation_level=None)
            connection.execute("PRAGMA cache_size = -512")  # KiB; the kernel caches the file as well
        return connection
