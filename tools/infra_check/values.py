"""What an expression may come to: exactly known, one of several, or known by its kind alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

#: More alternatives than these are no longer told apart.
_MOST = 128


@dataclass(frozen=True)
class Unknown:
    """A value that only the deployment knows; of `kind` string, int, bool, array or object, or empty for any.

    `text` is a string as far as it is known.
    """

    kind: str = ""
    text: str = "<unknown>"


@dataclass(frozen=True)
class OneOf:
    """One of these, whichever the parameters say."""

    values: tuple[Any, ...]


class Partial(dict[str, Any]):
    """An object of which only these properties are known."""


def alternatives(value: Any) -> tuple[Any, ...]:
    """All that it may be."""
    return value.values if isinstance(value, OneOf) else (value,)


def one_of(values: Iterable[Any]) -> Any:
    """One of these, flattened and without repetition."""
    unique: list[Any] = []
    for value in values:
        unique += [each for each in alternatives(value) if not any(_same(each, other) for other in unique)]
    if len(unique) > _MOST:
        return Unknown(kind_of_value(unique[0]))
    return unique[0] if len(unique) == 1 else OneOf(tuple(unique))


def combine(operation: Callable[..., Any], *operands: Any) -> Any:
    """The operation over every combination of the operands' alternatives."""
    choices = [alternatives(operand) for operand in operands]
    size = 1
    for each in choices:
        size *= len(each)
    if size > _MOST:
        return Unknown()
    return one_of(operation(*combination) for combination in itertools.product(*choices))


def at(value: Any, *path: str) -> Any:
    """What stands at a path within an object; None when nothing does."""
    if not path or isinstance(value, Unknown):
        return value if not path else Unknown()
    return one_of(at(each.get(path[0]), *path[1:]) if isinstance(each, dict) else None for each in alternatives(value))


def kind_of_value(value: Any) -> str:
    """string, int, bool, array, object, null, or empty when unknown."""
    if isinstance(value, Unknown):
        return value.kind
    if value is None:
        return "null"
    for kind, types in (("bool", bool), ("int", int), ("string", str), ("array", list), ("object", dict)):
        if isinstance(value, types):
            return kind
    return ""


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)
