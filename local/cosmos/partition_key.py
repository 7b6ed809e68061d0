"""Partition keys: from the request's header, from an item, and their canonical text, under which items are stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from local.cosmos.errors import PARTITION_KEY_MISMATCH, CosmosError, bad_request

#: How the protocol writes "the item has no such property" inside the header's JSON array.
_ABSENT: dict[str, Any] = {}


def from_header(text: str, paths: Sequence[Sequence[str]]) -> str:
    """The canonical text of the header `x-ms-documentdb-partitionkey`, a JSON array with one value a path; 400 else."""
    try:
        values = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise bad_request(f"Partition key {text} is invalid: {error}.") from None
    if not isinstance(values, list) or len(values) != len(paths):
        raise mismatch()
    return _canonical(values)


def from_item(item: dict[str, Any], paths: Sequence[Sequence[str]]) -> str:
    """The canonical text of the key that `item` holds; 400 when a component is an array or an object."""
    return _canonical([_component(item, path) for path in paths])


def mismatch() -> CosmosError:
    return bad_request(
        "PartitionKey extracted from document doesn't match the one specified in the header, "
        "or its number of components differs from the container's definition.",
        PARTITION_KEY_MISMATCH,
    )


def _component(item: dict[str, Any], path: Sequence[str]) -> Any:
    value: Any = item
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return _ABSENT
        value = value[name]
    if isinstance(value, list | dict):
        raise bad_request(f"The partition key /{'/'.join(path)} must be a string, a number, a boolean or null.")
    return value


def _canonical(values: list[Any]) -> str:
    for index, value in enumerate(values):
        if isinstance(value, float) and value.is_integer():
            values[index] = int(value)
        elif isinstance(value, list) or (isinstance(value, dict) and value):
            raise bad_request("A partition key's components must be strings, numbers, booleans or null.")
    return msgspec.json.encode(values).decode()
