"""Conditions that SQLite can test before a row is decoded.

They only spare work: each keeps every row that the query's own WHERE, evaluated afterwards, would keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.cosmos.query.syntax import Binary, In, Literal, Name, Node, Select, path_of

#: Beyond it SQLite's and Python's ideas of a JSON number may differ.
_EXACT_INTEGER = 2**53


def sql_conditions(select: Select, parameters: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """SQL that begins with AND, or nothing, and the values for its question marks."""
    sql, values = "", []
    for conjunct in _conjuncts(select.where):
        match conjunct:
            case Binary("=", left, right):
                operand, choices = left, [right]
            case In(left, several):
                operand, choices = left, list(several)
            case _:
                continue
        constants = [_constant(choice, parameters) for choice in choices]
        column, path = _column(operand, select.alias)
        if column is None or None in constants or not constants:
            continue
        sql += f" AND {column} IN ({', '.join('?' * len(constants))})"
        values += [*path, *constants]
    return sql, values


def _conjuncts(node: Node | None) -> list[Node]:
    if isinstance(node, Binary) and node.operator == "AND":
        return _conjuncts(node.left) + _conjuncts(node.right)
    return [] if node is None else [node]


def _constant(node: Node, parameters: Mapping[str, Any]) -> str | int | None:
    """A string or an integer whose equality SQLite decides as Cosmos does; None for anything else."""
    value = node.value if isinstance(node, Literal) else None
    if isinstance(node, Name) and node.name.startswith("@"):
        value = parameters.get(node.name)
    if type(value) is int and abs(value) <= _EXACT_INTEGER:
        return value
    return value if isinstance(value, str) and "\0" not in value else None


def _column(node: Node, alias: str) -> tuple[str | None, list[str]]:
    """The SQL expression of a property path of the item, and the value for its question mark."""
    path = path_of(node)
    if path is None or len(path) < 2 or path[0] != alias:
        return None, []
    if path[1:] == ("id",):
        return "id", []
    if not all(isinstance(name, str) and _plain(name) for name in path[1:]):
        return None, []
    return "json_extract(body, ?)", ["$" + "".join(f'."{name}"' for name in path[1:])]


def _plain(name: str) -> bool:
    """SQLite compares names as they are written in the JSON text, so escaped characters must stay out."""
    return name.isprintable() and '"' not in name and "\\" not in name
