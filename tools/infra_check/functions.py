"""The functions and operators of Bicep that our templates use: their arguments, and what they come to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from tools.infra_check.values import OneOf, Partial, Unknown, kind_of_value, one_of


class Signature(NamedTuple):
    """Fewest and most arguments, and the kind of the result (empty: any)."""

    least: int
    most: int
    kind: str


MANY = 99

#: https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions. No list*(): those hand out keys.
FUNCTIONS = {
    "array": Signature(1, 1, "array"),
    "bool": Signature(1, 1, "bool"),
    "concat": Signature(1, MANY, ""),
    "contains": Signature(2, 2, "bool"),
    "empty": Signature(1, 1, "bool"),
    "endsWith": Signature(2, 2, "bool"),
    "environment": Signature(0, 0, "object"),
    "fail": Signature(1, 1, ""),
    "filter": Signature(2, 2, "array"),
    "first": Signature(1, 1, ""),
    "format": Signature(2, MANY, "string"),
    "guid": Signature(1, MANY, "string"),
    "int": Signature(1, 1, "int"),
    "items": Signature(1, 1, "array"),
    "join": Signature(2, 2, "string"),
    "last": Signature(1, 1, ""),
    "length": Signature(1, 1, "int"),
    "loadJsonContent": Signature(1, 2, ""),
    "loadTextContent": Signature(1, 2, "string"),
    "map": Signature(2, 2, "array"),
    "max": Signature(1, MANY, "int"),
    "min": Signature(1, MANY, "int"),
    "range": Signature(2, 2, "array"),
    "replace": Signature(3, 3, "string"),
    "resourceGroup": Signature(0, 2, "object"),
    "resourceId": Signature(2, MANY, "string"),
    "split": Signature(2, 2, "array"),
    "startsWith": Signature(2, 2, "bool"),
    "string": Signature(1, 1, "string"),
    "subscription": Signature(0, 1, "object"),
    "subscriptionResourceId": Signature(2, MANY, "string"),
    "substring": Signature(2, 3, "string"),
    "take": Signature(2, 2, ""),
    "tenant": Signature(0, 0, "object"),
    "toLower": Signature(1, 1, "string"),
    "toUpper": Signature(1, 1, "string"),
    "trim": Signature(1, 1, "string"),
    "union": Signature(2, MANY, ""),
    "uniqueString": Signature(1, MANY, "string"),
    "utcNow": Signature(0, 1, "string"),
}

DECORATORS = frozenset({"allowed", "description", "maxLength", "maxValue", "minLength", "minValue", "secure"})


def joined(*parts: Any) -> Any:
    """A string with its interpolations."""
    joined_text = "".join(part.text if isinstance(part, Unknown) else str(part) for part in parts)
    return Unknown("string", joined_text) if any(isinstance(part, Unknown) for part in parts) else joined_text


def item(of: Any, index: Any) -> Any:
    """`of[index]`."""
    if isinstance(of, list) and isinstance(index, int) and index < len(of):
        return of[index]
    return of.get(index, Unknown()) if isinstance(of, dict) and isinstance(index, str) else Unknown()


def operated(operator: str, left: Any, right: Any) -> Any:
    """`left operator right`."""
    if operator == "??":
        return right if left is None else one_of([left, right]) if isinstance(left, Unknown) else left
    known = not isinstance(left, Unknown) and not isinstance(right, Unknown)
    if operator in ("==", "!="):
        return (left == right) is (operator == "==") if known else OneOf((True, False))
    if operator in ("&&", "||"):
        decisive = operator == "||"
        if decisive in (left, right):
            return decisive
        return (not decisive) if known else OneOf((True, False))
    if operator in ("<", ">", "<=", ">="):
        return OneOf((True, False))
    return Unknown("int")


def _union(*operands: Any) -> Any:
    if all(isinstance(each, list) for each in operands):
        return [item for each in operands for item in each]
    if any(kind_of_value(each) not in ("object", "") for each in operands):
        return Unknown()
    known = [each for each in operands if isinstance(each, dict)]
    merged = {name: value for each in known for name, value in each.items()}
    partial = len(known) < len(operands) or any(isinstance(each, Partial) for each in known)
    return Partial(merged) if partial else merged


def _concat(*operands: Any) -> Any:
    if all(isinstance(each, list) for each in operands):
        return [item for each in operands for item in each]
    return Unknown("string" if all(kind_of_value(each) == "string" for each in operands) else "array")


def _empty(value: Any) -> Any:
    return not value if isinstance(value, str | list | dict) else OneOf((True, False))


def _resource_id(*parts: Any) -> Any:
    return "/" + "/".join(parts) if all(isinstance(part, str) for part in parts) else Unknown("string")


#: Those that are worked out; of the others only the kind of the result is known.
CALCULATED: dict[str, Callable[..., Any]] = {
    "concat": _concat,
    "empty": _empty,
    # Which items stay is not looked at: all may.
    "filter": lambda items, _: items,
    "subscriptionResourceId": _resource_id,
    "take": lambda of, _: Unknown(kind_of_value(of)),
    "toLower": lambda of: of.lower() if isinstance(of, str) else Unknown("string"),
    "union": _union,
}
