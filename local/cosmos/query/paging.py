"""Cutting a query's results into pages that later requests continue, and the tokens that say where.

Results in scan order and in ORDER BY order continue after the last item of the page, whatever was written meanwhile.
Aggregates, DISTINCT, JOIN, TOP and OFFSET LIMIT are computed anew for each page and continue by number.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from local.cosmos.errors import bad_request
from local.cosmos.query.engine import CompiledQuery
from local.cosmos.query.expressions import Scope
from local.cosmos.query.values import UNDEFINED
from local.cosmos.request import Query

MAX_PAGE_BYTES = 4 * 1024 * 1024


class Row(NamedTuple):
    """An item as the scan yields it, ordered by partition key and id."""

    partition_key: str
    id: str
    body: bytes


class Position(msgspec.Struct):
    """Where the next page starts: after the item with this key and these ORDER BY values, or after `skip` results."""

    partition_key: str = ""
    id: str = ""
    order: list[Any] = []
    skip: int = 0


class Slice(NamedTuple):
    """A page's results as JSON, and where the next page starts unless this was the last."""

    results: list[bytes]
    following: Position | None


def streams(query: CompiledQuery) -> bool:
    """Whether results come in scan order, one an item at most, so that a page reads no more than it needs."""
    return _by_item(query) and not query.select.order_by


def cut(query: CompiledQuery, base: Scope, rows: Iterator[Row], start: Position, count: int) -> Slice:
    """The page of at most `count` results that begins at `start`; a streaming query's `rows` begin there already."""
    if streams(query):
        return _stream(query, base, rows, count)
    if _by_item(query):
        return _ordered(query, base, rows, start, count)
    results = [msgspec.json.encode(result) for result in query.results(base, _documents(rows))]
    page = _fit(results[start.skip :], count)
    end = start.skip + len(page)
    return Slice(page, Position(skip=end) if end < len(results) else None)


def _by_item(query: CompiledQuery) -> bool:
    select = query.select
    windowed = select.top is not None or select.offset is not None
    return not (query.groups or select.distinct or select.joins or windowed)


def _documents(rows: Iterator[Row]) -> Iterator[Any]:
    return (msgspec.json.decode(row.body) for row in rows)


def _stream(query: CompiledQuery, base: Scope, rows: Iterator[Row], count: int) -> Slice:
    page: list[bytes] = []
    size = 0
    last = Position()
    for row in rows:
        if len(page) == count or size >= MAX_PAGE_BYTES:
            return Slice(page, last)
        last = Position(row.partition_key, row.id)
        for scope in query.rows(base, [msgspec.json.decode(row.body)]):
            result = query.project(scope)
            if result is not UNDEFINED:
                page.append(msgspec.json.encode(result))
                size += len(page[-1])
    return Slice(page, None)


def _ordered(query: CompiledQuery, base: Scope, rows: Iterator[Row], start: Position, count: int) -> Slice:
    descending = query.descending
    entries: list[tuple[Position, bytes]] = []
    for row in rows:
        for scope in query.rows(base, [msgspec.json.decode(row.body)]):
            position = Position(row.partition_key, row.id, query.order_key(scope))
            result = query.project(scope)
            if result is not UNDEFINED and (not start.order or _follows(position, start, descending)):
                entries.append((position, msgspec.json.encode(result)))
    for index in reversed(range(len(descending))):
        entries.sort(key=lambda entry, index=index: entry[0].order[index], reverse=descending[index])  # type: ignore[misc]
    page = _fit([result for _, result in entries], count)
    return Slice(page, entries[len(page) - 1][0] if len(page) < len(entries) else None)


def _follows(position: Position, start: Position, descending: list[bool]) -> bool:
    for own, other, down in zip(position.order, start.order, descending, strict=True):
        if own != other:
            return bool((own > other) != down)
    return (position.partition_key, position.id) > (start.partition_key, start.id)


def _fit(results: list[bytes], count: int) -> list[bytes]:
    """As many of the first `count` results as a page holds, at least one."""
    size = 0
    for index, result in enumerate(results[:count]):
        size += len(result)
        if size > MAX_PAGE_BYTES and index:
            return results[:index]
    return results[:count]


def fingerprint(query: Query, partition_key: str | None) -> str:
    """Ties a continuation token to its query."""
    return hashlib.sha256(msgspec.json.encode([query.text, query.parameters, partition_key])).hexdigest()[:16]


def encode(position: Position, owner: str) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode((owner, position))).decode()


def decode(token: str, owner: str) -> Position:
    """400 when the token is damaged or belongs to another query (`owner` is the query's fingerprint)."""
    try:
        found, position = msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[str, Position])
    except (binascii.Error, ValueError):
        found, position = "", Position()
    if found != owner:
        raise bad_request("Invalid Continuation Token: it is damaged, or it belongs to another query.")
    return position
