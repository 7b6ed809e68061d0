"""Operations on single items: create, read, upsert, replace, patch, delete, with their ETag conditions.

The same operations come by HTTP one at a time and inside a transactional batch.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import msgspec

from local.cosmos import partition_key as keys
from local.cosmos import resources
from local.cosmos.errors import (
    PREDICATE_NOT_MET,
    bad_request,
    conflict,
    not_found,
    precondition_failed,
    too_large,
)
from local.cosmos.patch import apply_patch
from local.cosmos.query.engine import matches
from local.cosmos.resources import Container
from local.cosmos.store import Item, Store, etag

MAX_ITEM_BYTES = 2 * 1024 * 1024


class Operation(NamedTuple):
    """What a request or one entry of a batch asks for. `kind` is the protocol's operationType.

    `body`: the item, or for Patch `{"operations": [...], "condition": "from c where ..."}`.
    """

    kind: str
    id: str | None = None
    body: Any = None
    if_match: str | None = None
    if_none_match: str | None = None


class Outcome(NamedTuple):
    """A successful answer: `body` is the item's JSON, empty after a delete; `charge` is in request units."""

    status: int
    etag: str | None
    body: bytes
    charge: float


def execute(store: Store, container: Container, partition_key: str, operation: Operation) -> Outcome:
    """Carry one operation out; raises 400, 404, 409, 412 or 413 having changed nothing."""
    handler = _HANDLERS.get(operation.kind)
    if handler is None:
        raise bad_request(f"The operation type {operation.kind!r} is invalid; known are {', '.join(_HANDLERS)}.")
    return handler(store, container, partition_key, operation)


def _read(store: Store, container: Container, partition_key: str, operation: Operation) -> Outcome:
    item = _existing(store, container, partition_key, operation)
    tag = etag(item.version)
    if operation.if_none_match == tag:
        return Outcome(304, tag, b"", 1.0)
    return Outcome(200, tag, item.body, max(1.0, len(item.body) / 1024))


def _create(store: Store, container: Container, partition_key: str, operation: Operation) -> Outcome:
    content = _content(container, partition_key, operation)
    if store.item(container, partition_key, content["id"]) is not None:
        raise conflict()
    return _write(store, container, partition_key, content, None)


def _upsert(store: Store, container: Container, partition_key: str, operation: Operation) -> Outcome:
    content = _content(container, partition_key, operation)
    current = store.item(container, partition_key, content["id"])
    if current is not None:  # an If-Match is not looked at when the upsert inserts
        _check_preconditions(current, operation)
    return _write(store, container, partition_key, content, current)


def _replace(store: Store, container: Container, partition_key: str, operation: Operation) -> Outcome:
    content = _content(container, partition_key, operation)
    if content["id"] != operation.id:
        raise bad_request(f"The item's id {content['id']!r} is not the id {operation.id!r} that is replaced.")
    current = _existing(store, container, partition_key, operation)
    _check_preconditions(current, operation)
    return _write(store, container, partition_key, content, current)


def _patch(store: Store, container: Container, partition_key: str, operation: Operation) -> Outcome:
    current = _existing(store, container, partition_key, operation)
    _check_preconditions(current, operation)
    if not isinstance(operation.body, dict):
        raise bad_request("A patch is an object with 'operations' and, optionally, 'condition'.")
    content = msgspec.json.decode(current.body)
    condition = operation.body.get("condition")
    if condition and not matches(condition, content):
        raise precondition_failed(PREDICATE_NOT_MET)
    apply_patch(content, operation.body.get("operations"))
    if content.get("id") != operation.id:
        raise bad_request("A patch cannot change the item's id.")
    _check_partition(container, partition_key, content)
    return _write(store, container, partition_key, content, current)


def _delete(store: Store, container: Container, partition_key: str, operation: Operation) -> Outcome:
    current = _existing(store, container, partition_key, operation)
    _check_preconditions(current, operation)
    store.delete(current)
    return Outcome(204, None, b"", 5.5)


_HANDLERS = {
    "Create": _create,
    "Read": _read,
    "Upsert": _upsert,
    "Replace": _replace,
    "Patch": _patch,
    "Delete": _delete,
}


def _content(container: Container, partition_key: str, operation: Operation) -> dict[str, Any]:
    """The item of a create, upsert or replace; 400 unless it has an id and belongs to the partition."""
    if not isinstance(operation.body, dict):
        raise bad_request("An item must be a JSON object.")
    resources.check_id(operation.body.get("id"))
    _check_partition(container, partition_key, operation.body)
    return operation.body


def _check_partition(container: Container, partition_key: str, content: dict[str, Any]) -> None:
    if keys.from_item(content, container.key_paths) != partition_key:
        raise keys.mismatch()


def _existing(store: Store, container: Container, partition_key: str, operation: Operation) -> Item:
    item = None if operation.id is None else store.item(container, partition_key, operation.id)
    if item is None:
        raise not_found()
    return item


def _check_preconditions(current: Item, operation: Operation) -> None:
    tag = etag(current.version)
    if operation.if_match and operation.if_match not in ("*", tag):
        raise precondition_failed()
    if operation.if_none_match in ("*", tag):
        raise precondition_failed()


def _write(
    store: Store, container: Container, partition_key: str, content: dict[str, Any], current: Item | None
) -> Outcome:
    version = store.next_version()
    number = version if current is None else current.number
    now = int(time.time())
    rid = resources.item_rid(container.rid, number)
    content["_rid"] = rid
    content["_self"] = f"{container.definition['_self']}docs/{rid}/"
    content["_etag"] = etag(version)
    content["_attachments"] = "attachments/"
    content["_ts"] = now
    body = msgspec.json.encode(content)
    if len(body) > MAX_ITEM_BYTES:
        raise too_large(f"an item of {len(body)} bytes; 2 MB are allowed.")
    store.put(container, partition_key, content["id"], Item(number, version, body), _expiry(container, content, now))
    return Outcome(200 if current else 201, content["_etag"], body, 5.5 + len(body) // 1024)


def _expiry(container: Container, content: dict[str, Any], now: int) -> int | None:
    own = content.get("ttl")
    ttl = container.default_ttl if own is None else resources.check_ttl(own)
    return None if container.default_ttl is None or ttl is None or ttl == -1 else now + ttl
