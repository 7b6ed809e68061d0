"""Built-in functions. One that gets an argument of the wrong type gives undefined, as the service does.

https://learn.microsoft.com/azure/cosmos-db/nosql/query/system-functions
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from local.cosmos.query.values import UNDEFINED, equals, is_number, is_primitive


class Function(NamedTuple):
    """A built-in and how many arguments it takes."""

    evaluate: Callable[..., Any]
    least: int
    most: float


def _strings(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *values: function(*values) if all(isinstance(value, str) for value in values) else UNDEFINED


def _numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    def evaluate(*values: Any) -> Any:
        if not all(is_number(value) for value in values):
            return UNDEFINED
        try:
            return function(*values)
        except (ValueError, OverflowError, ZeroDivisionError):
            return UNDEFINED

    return evaluate


def _search(test: Callable[[str, str], bool]) -> Callable[..., Any]:
    """A test of one string by another, with the optional third argument "ignore case"."""

    def evaluate(text: Any, part: Any, ignore_case: Any = False) -> Any:
        if not isinstance(text, str) or not isinstance(part, str) or not isinstance(ignore_case, bool):
            return UNDEFINED
        return test(text.lower(), part.lower()) if ignore_case else test(text, part)

    return evaluate


def _substring(text: Any, start: Any, length: Any) -> Any:
    if not isinstance(text, str) or not is_number(start) or not is_number(length):
        return UNDEFINED
    first = max(int(start), 0)
    return text[first : first + max(int(length), 0)]


def _left(text: Any, length: Any) -> Any:
    return _substring(text, 0, length)


def _right(text: Any, length: Any) -> Any:
    if not isinstance(text, str) or not is_number(length):
        return UNDEFINED
    return text[max(len(text) - max(int(length), 0), 0) :]


def _length(of: type[str] | type[list[Any]]) -> Callable[[Any], Any]:
    return lambda value: len(value) if isinstance(value, of) else UNDEFINED


def _array_contains(array: Any, wanted: Any, partial: Any = False) -> Any:
    if not isinstance(array, list) or wanted is UNDEFINED:
        return UNDEFINED
    if partial is True and isinstance(wanted, dict):
        return any(isinstance(element, dict) and _has_members(element, wanted) for element in array)
    return any(equals(element, wanted) is True for element in array)


def _has_members(element: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return all(equals(element.get(name, UNDEFINED), value) is True for name, value in wanted.items())


def _array_concat(*arrays: Any) -> Any:
    if not all(isinstance(array, list) for array in arrays):
        return UNDEFINED
    return [element for array in arrays for element in array]


def _round(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))


def _is_type(*types: type) -> Callable[[Any], bool]:
    return lambda value: type(value) in types


FUNCTIONS: dict[str, Function] = {
    "IS_DEFINED": Function(lambda value: value is not UNDEFINED, 1, 1),
    "IS_NULL": Function(lambda value: value is None, 1, 1),
    "IS_STRING": Function(_is_type(str), 1, 1),
    "IS_NUMBER": Function(is_number, 1, 1),
    "IS_BOOL": Function(_is_type(bool), 1, 1),
    "IS_ARRAY": Function(_is_type(list), 1, 1),
    "IS_OBJECT": Function(_is_type(dict), 1, 1),
    "IS_PRIMITIVE": Function(is_primitive, 1, 1),
    "LOWER": Function(_strings(str.lower), 1, 1),
    "UPPER": Function(_strings(str.upper), 1, 1),
    "TRIM": Function(_strings(str.strip), 1, 1),
    "LTRIM": Function(_strings(str.lstrip), 1, 1),
    "RTRIM": Function(_strings(str.rstrip), 1, 1),
    "LENGTH": Function(_length(str), 1, 1),
    "REVERSE": Function(_strings(lambda text: text[::-1]), 1, 1),
    "CONCAT": Function(_strings(lambda *parts: "".join(parts)), 2, math.inf),
    "REPLACE": Function(_strings(str.replace), 3, 3),
    "SUBSTRING": Function(_substring, 3, 3),
    "LEFT": Function(_left, 2, 2),
    "RIGHT": Function(_right, 2, 2),
    "INDEX_OF": Function(_strings(str.find), 2, 2),
    "STARTSWITH": Function(_search(str.startswith), 2, 3),
    "ENDSWITH": Function(_search(str.endswith), 2, 3),
    "CONTAINS": Function(_search(str.__contains__), 2, 3),
    "STRINGEQUALS": Function(_search(str.__eq__), 2, 3),
    "ARRAY_CONTAINS": Function(_array_contains, 2, 3),
    "ARRAY_LENGTH": Function(_length(list), 1, 1),
    "ARRAY_CONCAT": Function(_array_concat, 2, math.inf),
    "ABS": Function(_numbers(abs), 1, 1),
    "FLOOR": Function(_numbers(math.floor), 1, 1),
    "CEILING": Function(_numbers(math.ceil), 1, 1),
    "ROUND": Function(_numbers(_round), 1, 1),
    "SQRT": Function(_numbers(math.sqrt), 1, 1),
    "POWER": Function(_numbers(math.pow), 2, 2),
    "SIGN": Function(_numbers(lambda value: (value > 0) - (value < 0)), 1, 1),
    "IIF": Function(lambda test, yes, no: yes if test is True else no, 3, 3),
    "GETCURRENTTIMESTAMP": Function(lambda: time.time_ns() // 1_000_000, 0, 0),
}
