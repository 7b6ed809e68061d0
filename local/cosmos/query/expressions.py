"""From expressions to closures: each takes the scope (aliases, parameters, aggregates by name) and gives a value."""

from __future__ import annotations

import functools
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from local.cosmos.errors import unsupported
from local.cosmos.query.functions import FUNCTIONS
from local.cosmos.query.lexer import syntax_error
from local.cosmos.query.syntax import (
    Aggregate,
    ArrayOf,
    Binary,
    Call,
    In,
    Like,
    Literal,
    Member,
    Name,
    Node,
    ObjectOf,
    Unary,
)
from local.cosmos.query.values import UNDEFINED, comparable, equals, is_number

Scope = dict[str, Any]
Evaluate = Callable[[Scope], Any]

#: Beyond it a double does not hold every integer.
_EXACT_INTEGER = 2**53
_ORDERINGS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
}


class Compiler:
    """Compiles the expressions of one query; `aliases` are the names that its FROM and JOIN define.

    `aggregates` collects what the select list aggregates: function and argument; the scope that evaluates the select
    list holds their results under `aggregate_slot(index)`.
    """

    def __init__(self, aliases: set[str]) -> None:
        self.parameters: set[str] = set()
        self.aggregates: list[tuple[str, Evaluate]] = []
        self._aliases = aliases
        self._may_aggregate = False

    def select_item(self, node: Node) -> Evaluate:
        """An expression of the select list, the one place where aggregates may stand."""
        self._may_aggregate = True
        try:
            return self.expression(node)
        finally:
            self._may_aggregate = False

    def expression(self, node: Node) -> Evaluate:  # noqa: C901, PLR0911 - one case a node type
        match node:
            case Literal(value):
                return lambda _: value
            case Name(name):
                return self._name(name)
            case Member(target, key):
                return self._member(target, key)
            case ArrayOf(elements):
                return _array([self.expression(element) for element in elements])
            case ObjectOf(members):
                return _object([(name, self.expression(value)) for name, value in members])
            case Unary(symbol, operand):
                return _not(self.expression(operand)) if symbol == "NOT" else _negate(self.expression(operand))
            case Binary("AND" | "OR" as word, left, right):
                return _logical(word == "OR", self.expression(left), self.expression(right))
            case Binary(symbol, left, right):
                return _binary(symbol, self.expression(left), self.expression(right))
            case In(operand, choices):
                return _in(self.expression(operand), [self.expression(choice) for choice in choices])
            case Like(operand, pattern, escape):
                return _like(self.expression(operand), self.expression(pattern), escape)
            case Call(function, arguments):
                return _call(function, [self.expression(argument) for argument in arguments])
            case Aggregate(function, argument):
                return self._aggregate(function, argument)
        raise AssertionError(node)

    def _name(self, name: str) -> Evaluate:
        if name.startswith("@"):
            self.parameters.add(name)
        elif name not in self._aliases:
            raise syntax_error(f"Identifier '{name}' could not be resolved.")
        return operator.itemgetter(name)

    def _member(self, target: Node, key: Node) -> Evaluate:
        of, at = self.expression(target), self.expression(key)
        if isinstance(key, Literal) and isinstance(key.value, str):
            name = key.value

            def property_of(scope: Scope) -> Any:
                value = of(scope)
                return value.get(name, UNDEFINED) if type(value) is dict else UNDEFINED

            return property_of
        return lambda scope: _element(of(scope), at(scope))

    def _aggregate(self, function: str, argument: Node) -> Evaluate:
        if not self._may_aggregate:
            raise syntax_error(f"The aggregate {function} is only allowed in the select list, and not inside another.")
        self._may_aggregate = False
        self.aggregates.append((function, self.expression(argument)))
        self._may_aggregate = True
        return operator.itemgetter(aggregate_slot(len(self.aggregates) - 1))


def aggregate_slot(index: int) -> str:
    """The scope's name for an aggregate's result: no alias and no parameter can be called so."""
    return f"#{index}"


def _element(value: Any, key: Any) -> Any:
    if isinstance(value, dict) and isinstance(key, str):
        return value.get(key, UNDEFINED)
    if isinstance(value, list) and type(key) is int and 0 <= key < len(value):
        return value[key]
    return UNDEFINED


def _array(elements: list[Evaluate]) -> Evaluate:
    return lambda scope: [value for element in elements if (value := element(scope)) is not UNDEFINED]


def _object(members: list[tuple[str, Evaluate]]) -> Evaluate:
    return lambda scope: {name: value for name, of in members if (value := of(scope)) is not UNDEFINED}


def _not(operand: Evaluate) -> Evaluate:
    return lambda scope: (not value) if isinstance(value := operand(scope), bool) else UNDEFINED


def _negate(operand: Evaluate) -> Evaluate:
    return lambda scope: -value if is_number(value := operand(scope)) else UNDEFINED


def _logical(decisive: bool, left: Evaluate, right: Evaluate) -> Evaluate:
    """AND and OR: `decisive` (False for AND, True for OR) wins over anything, undefined over the rest."""

    def evaluate(scope: Scope) -> Any:
        first = left(scope)
        if first is decisive:
            return decisive
        second = right(scope)
        if second is decisive:
            return decisive
        return (not decisive) if isinstance(first, bool) and isinstance(second, bool) else UNDEFINED

    return evaluate


def _binary(symbol: str, left: Evaluate, right: Evaluate) -> Evaluate:
    if symbol == "=":
        return lambda scope: equals(left(scope), right(scope))
    if symbol == "!=":
        return lambda scope: UNDEFINED if (equal := equals(left(scope), right(scope))) is UNDEFINED else not equal
    if symbol in _ORDERINGS:
        compare = _ORDERINGS[symbol]
        return lambda scope: compare(a, b) if comparable(a := left(scope), b := right(scope)) else UNDEFINED
    compute = _ARITHMETIC[symbol]

    def evaluate(scope: Scope) -> Any:
        first, second = left(scope), right(scope)
        if not is_number(first) or not is_number(second):
            return UNDEFINED
        try:
            return tidy(compute(first, second))
        except (ZeroDivisionError, ValueError, OverflowError):
            return UNDEFINED

    return evaluate


def tidy(number: float) -> Any:
    """JSON has one kind of number: 4 / 2 is 2, not 2.0; what is no finite double is undefined (or OverflowError)."""
    if not math.isfinite(number):
        return UNDEFINED
    return int(number) if float(number).is_integer() and abs(number) <= _EXACT_INTEGER else float(number)


def _in(operand: Evaluate, choices: list[Evaluate]) -> Evaluate:
    def evaluate(scope: Scope) -> Any:
        value = operand(scope)
        if value is UNDEFINED:
            return UNDEFINED
        return any(equals(value, choice(scope)) is True for choice in choices)

    return evaluate


def _like(operand: Evaluate, pattern: Evaluate, escape: str | None) -> Evaluate:
    def evaluate(scope: Scope) -> Any:
        text, like = operand(scope), pattern(scope)
        if not isinstance(text, str) or not isinstance(like, str):
            return UNDEFINED
        return _like_pattern(like, escape).fullmatch(text) is not None

    return evaluate


@functools.lru_cache(256)
def _like_pattern(like: str, escape: str | None) -> re.Pattern[str]:
    parts: list[str] = []
    characters = iter(like)
    for character in characters:
        if character == escape:
            parts.append(re.escape(next(characters, "")))
        elif character == "[":
            raise unsupported("A character set [...] in a LIKE pattern")
        else:
            parts.append({"%": ".*", "_": "."}.get(character, re.escape(character)))
    return re.compile("".join(parts), re.DOTALL)


def _call(name: str, arguments: list[Evaluate]) -> Evaluate:
    function = FUNCTIONS.get(name)
    if function is None:
        raise syntax_error(f"'{name}' is not a recognized built-in function name, or this emulator does not know it.")
    if not function.least <= len(arguments) <= function.most:
        raise syntax_error(f"The function '{name}' requires another number of arguments than {len(arguments)}.")
    compute = function.evaluate
    return lambda scope: compute(*[argument(scope) for argument in arguments])
