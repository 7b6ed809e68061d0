"""Transactional batch: up to 100 operations on one partition key, all of them or none."""

from __future__ import annotations

from typing import Any

import msgspec

from local.cosmos.errors import CosmosError, bad_request, too_large
from local.cosmos.items import Operation, Outcome, execute
from local.cosmos.resources import Container
from local.cosmos.store import Store

MAX_OPERATIONS = 100
MAX_BATCH_BYTES = 2 * 1024 * 1024
#: Status of every operation of a failed batch other than the one that failed.
FAILED_DEPENDENCY = 424


def execute_batch(store: Store, container: Container, partition_key: str, raw: bytes) -> tuple[int, bytes, float]:
    """Carry the operations out in order; returns status, body (a JSON list, one entry an operation) and charge.

    Status 200 when all succeeded; 207 when one failed: then nothing is changed, the failed entry has its own status and
    all others 424. Raises 400 or 413 for a batch that cannot be tried at all.
    """
    if len(raw) > MAX_BATCH_BYTES:
        raise too_large(f"a batch of {len(raw)} bytes; 2 MB are allowed.")
    operations = _parse(raw)
    entries: list[dict[str, Any]] = []
    try:
        with store.transaction():
            for operation in operations:
                entries.append(_success(execute(store, container, partition_key, operation)))
    except CosmosError as error:
        failed = len(entries)
        entries = [{"statusCode": FAILED_DEPENDENCY, "requestCharge": 0.0} for _ in operations]
        entries[failed] = {
            "statusCode": error.status,
            "subStatusCode": error.substatus,
            "requestCharge": 1.0,
            "message": error.message,
        }
        return 207, msgspec.json.encode(entries), 1.0
    return 200, msgspec.json.encode(entries), sum(entry["requestCharge"] for entry in entries)


def _parse(raw: bytes) -> list[Operation]:
    try:
        entries = msgspec.json.decode(raw, type=list[dict[str, Any]])
    except msgspec.DecodeError as error:
        raise bad_request(f"The batch is not a JSON list of operations: {error}.") from None
    if not 1 <= len(entries) <= MAX_OPERATIONS:
        raise bad_request(f"A batch must have 1 to {MAX_OPERATIONS} operations, not {len(entries)}.")
    return [
        Operation(
            str(entry.get("operationType")),
            entry.get("id"),
            entry.get("resourceBody"),
            entry.get("ifMatch"),
            entry.get("ifNoneMatch"),
        )
        for entry in entries
    ]


def _success(outcome: Outcome) -> dict[str, Any]:
    entry: dict[str, Any] = {"statusCode": outcome.status, "requestCharge": outcome.charge}
    if outcome.etag:
        entry["eTag"] = outcome.etag
    if outcome.body:
        entry["resourceBody"] = msgspec.Raw(outcome.body)
    return entry
