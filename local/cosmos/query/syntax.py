"""The syntax tree of a query. Nodes compare by value, so that a select item can be recognized as a GROUP BY key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


class Node:
    """An expression."""


@dataclass(frozen=True)
class Literal(Node):
    """A number, string, true, false, null or undefined."""

    value: Any


@dataclass(frozen=True)
class Name(Node):
    """An alias of FROM or JOIN, or a parameter, which begins with @."""

    name: str


@dataclass(frozen=True)
class Member(Node):
    """`target.name`, `target["name"]` or `target[index]`."""

    target: Node
    key: Node


@dataclass(frozen=True)
class ArrayOf(Node):
    elements: tuple[Node, ...]


@dataclass(frozen=True)
class ObjectOf(Node):
    members: tuple[tuple[str, Node], ...]


@dataclass(frozen=True)
class Unary(Node):
    """`NOT operand` or `-operand`."""

    operator: str
    operand: Node


@dataclass(frozen=True)
class Binary(Node):
    """AND, OR, a comparison or arithmetic."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class In(Node):
    operand: Node
    choices: tuple[Node, ...]


@dataclass(frozen=True)
class Like(Node):
    """`escape` is the escape character's literal, or None."""

    operand: Node
    pattern: Node
    escape: str | None


@dataclass(frozen=True)
class Call(Node):
    """A built-in function, its name in upper case."""

    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Aggregate(Node):
    """COUNT, SUM, AVG, MIN or MAX."""

    function: str
    argument: Node


@dataclass(frozen=True)
class SelectItem:
    """One column. `name` is its alias, or None where the query gives none."""

    expression: Node
    name: str | None


@dataclass(frozen=True)
class Join:
    """`JOIN alias IN source`."""

    alias: str
    source: Node


@dataclass(frozen=True)
class OrderItem:
    expression: Node
    descending: bool


@dataclass(frozen=True)
class Select:
    """A whole query. `columns` is None for `SELECT *`; `value` tells `SELECT VALUE`, which has one column.

    `top`, `offset` and `limit` are literals or parameters.
    """

    alias: str
    columns: tuple[SelectItem, ...] | None
    value: bool
    distinct: bool
    joins: tuple[Join, ...]
    where: Node | None
    group_by: tuple[Node, ...]
    order_by: tuple[OrderItem, ...]
    top: Node | None
    offset: Node | None
    limit: Node | None


def children(node: Node) -> Iterator[Node]:
    """The expressions that `node` is made of."""
    for part in vars(node).values():
        for element in part if isinstance(part, tuple) else (part,):
            child = element[1] if isinstance(element, tuple) else element
            if isinstance(child, Node):
                yield child


def path_of(node: Node) -> tuple[str | int, ...] | None:
    """`c.a["b"][0]` as `("c", "a", "b", 0)`; None for an expression that is no plain path."""
    if isinstance(node, Name):
        return (node.name,)
    if isinstance(node, Member) and isinstance(node.key, Literal) and isinstance(node.key.value, str | int):
        target = path_of(node.target)
        return None if target is None else (*target, node.key.value)
    return None
