"""JSON values as Cosmos SQL sees them: with `undefined`, a fixed order of types, and comparison that may be undefined.

Equality of different types is false, not undefined, as in the evaluator among the tests of Microsoft's .NET SDK
(`ScalarExpressionEvaluator.PerformBinaryEquality`), which is what makes `c.x != null` work; the service's
documentation says undefined. Order of types: https://learn.microsoft.com/azure/cosmos-db/nosql/query/order-by
"""

from __future__ import annotations

from enum import Enum
from typing import Any


class Undefined(Enum):
    """The value of a property that is not there."""

    UNDEFINED = "undefined"


UNDEFINED = Undefined.UNDEFINED

_RANK_BOOLEAN, _RANK_NUMBER, _RANK_STRING, _RANK_ARRAY, _RANK_OBJECT = 2, 3, 4, 5, 6
_RANKS = {
    Undefined: 0,
    type(None): 1,
    bool: _RANK_BOOLEAN,
    int: _RANK_NUMBER,
    float: _RANK_NUMBER,
    str: _RANK_STRING,
    list: _RANK_ARRAY,
    dict: _RANK_OBJECT,
}


def rank(value: Any) -> int:
    """undefined 0 < null < boolean < number < string < array < object."""
    return _RANKS[type(value)]


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_primitive(value: Any) -> bool:
    return 0 < rank(value) < _RANK_ARRAY


def equals(left: Any, right: Any) -> Any:
    """True, False, or UNDEFINED when either side is."""
    if left is UNDEFINED or right is UNDEFINED:
        return UNDEFINED
    if rank(left) != rank(right):
        return False
    return freeze(left) == freeze(right) if rank(left) >= _RANK_ARRAY else bool(left == right)


def comparable(left: Any, right: Any) -> bool:
    """Whether < and > are defined: both booleans, both numbers or both strings."""
    return rank(left) == rank(right) and _RANK_BOOLEAN <= rank(left) <= _RANK_STRING


def sort_key(value: Any) -> tuple[int, Any]:
    """For ORDER BY, MIN and MAX. Arrays and objects sort after all else, in no order among themselves."""
    return (rank(value), value if _RANK_BOOLEAN <= rank(value) <= _RANK_STRING else 0)


def freeze(value: Any) -> Any:
    """A hashable stand-in that is equal exactly when the values are: 1 is 1.0 and is not true."""
    if isinstance(value, dict):
        return (_RANK_OBJECT, frozenset((name, freeze(member)) for name, member in value.items()))
    if isinstance(value, list):
        return (_RANK_ARRAY, tuple(freeze(element) for element in value))
    return (rank(value), value)
