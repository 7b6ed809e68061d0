"""Partial document update: the operations add, set, replace, remove, incr and move on JSON pointers.

https://learn.microsoft.com/azure/cosmos-db/partial-document-update
"""

from __future__ import annotations

import math
from typing import Any

from local.cosmos.errors import CosmosError, bad_request

MAX_OPERATIONS = 10
_SYSTEM_PROPERTIES = {"_rid", "_self", "_etag", "_attachments", "_ts"}
#: In a pointer's last place: the end of an array.
_APPEND = "-"


def apply_patch(item: dict[str, Any], operations: Any) -> None:
    """Change `item` in place, operation after operation; 400 names the operation that cannot be carried out."""
    if not isinstance(operations, list) or not 1 <= len(operations) <= MAX_OPERATIONS:
        raise bad_request(f"A patch must have 1 to {MAX_OPERATIONS} operations.")
    for operation in operations:
        if not isinstance(operation, dict):
            raise bad_request("A patch operation must be an object with 'op' and 'path'.")
        _apply(item, operation)


def _apply(item: dict[str, Any], operation: dict[str, Any]) -> None:
    name = str(operation.get("op", "")).lower()
    target = _locate(item, operation, "path", name)
    match name:
        case "add" | "set" | "replace" | "incr" if "value" not in operation:
            raise bad_request(f"The patch operation {name} needs a 'value'.")
        case "add":
            target.insert(operation["value"])
        case "set":
            target.assign(operation["value"])
        case "replace":
            target.require()
            target.assign(operation["value"])
        case "remove":
            target.pop()
        case "incr":
            target.increment(operation["value"])
        case "move":
            _move(item, operation, target)
        case _:
            raise bad_request(f"The patch operation {name!r} is unknown; known: add, set, replace, remove, incr, move.")


def _move(item: dict[str, Any], operation: dict[str, Any], target: _Target) -> None:
    source = _locate(item, operation, "from", "move")
    if f"{operation['path']}/".startswith(f"{operation['from']}/"):
        raise target.error("'path' may not lie inside 'from'")
    value = source.pop()
    # Located anew: taking the source out may have moved an array's elements.
    _locate(item, operation, "path", "move").insert(value)


def _locate(item: dict[str, Any], operation: dict[str, Any], field: str, name: str) -> _Target:
    pointer = operation.get(field)
    if not isinstance(pointer, str) or not pointer.startswith("/") or pointer == "/":
        raise bad_request(f"The patch operation {name} needs {field!r}: a JSON pointer such as /a/b.")
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    if not parents and last in _SYSTEM_PROPERTIES:
        raise bad_request(f"The system property {last!r} cannot be patched.")
    node: Any = item
    for part in parents:
        node = _child(node, part)
        if not isinstance(node, dict | list):
            raise bad_request(
                f"{name} operation can only create a child object of an existing node (array or object) and cannot "
                f"create a path recursively; no path found beyond: {part!r}."
            )
    return _Target(node, last, name, pointer)


def _child(node: Any, part: str) -> Any:
    if isinstance(node, dict):
        return node.get(part)
    return node[int(part)] if part.isdecimal() and int(part) < len(node) else None


class _Target:
    """One place in the item: a member of an object, or an index of an array."""

    def __init__(self, node: Any, last: str, operation: str, pointer: str) -> None:
        self._operation = operation
        self._pointer = pointer
        self._node = node
        self._key: Any = self._array_index(last) if isinstance(node, list) else last

    def _array_index(self, last: str) -> int:
        size = len(self._node)
        if last == _APPEND:
            return size
        if not last.isdecimal() or int(last) > size:
            raise self.error(f"{last!r} is no index of the array")
        return int(last)

    def error(self, reason: str) -> CosmosError:
        return bad_request(f"The patch operation {self._operation} on {self._pointer!r} failed: {reason}.")

    @property
    def exists(self) -> bool:
        return self._key < len(self._node) if isinstance(self._node, list) else self._key in self._node

    def require(self) -> None:
        if not self.exists:
            raise self.error("the path does not exist")

    def insert(self, value: Any) -> None:
        """`add`: an array's later elements move up; a member of an object is set."""
        if isinstance(self._node, list):
            self._node.insert(self._key, value)
        else:
            self._node[self._key] = value

    def assign(self, value: Any) -> None:
        """`set`: an array's element or an object's member gets the value; at its end an array grows."""
        if isinstance(self._node, list):
            self._node[self._key : self._key + 1] = [value]
        else:
            self._node[self._key] = value

    def pop(self) -> Any:
        self.require()
        return self._node.pop(self._key)

    def increment(self, by: Any) -> None:
        """A member that is missing becomes `by`."""
        if not _is_number(by):
            raise self.error("'value' is not a number")
        current = self._node[self._key] if self.exists else 0
        if not _is_number(current):
            raise self.error("the present value is not a number")
        if not math.isfinite(current + by):
            raise self.error("the sum is too large for a number")
        self.assign(current + by)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
