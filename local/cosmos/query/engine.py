"""Queries ready to run: which rows they select, what they make of them, in which order."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from local.cosmos.query.expressions import Compiler, Scope, aggregate_slot, tidy
from local.cosmos.query.lexer import syntax_error
from local.cosmos.query.parser import parse
from local.cosmos.query.syntax import Aggregate, Name, Node, Select, SelectItem, children, path_of
from local.cosmos.query.values import UNDEFINED, freeze, is_number, is_primitive, sort_key


class CompiledQuery:
    """A checked query. It holds no data and may be used by several threads at once."""

    def __init__(self, select: Select) -> None:
        _check(select)
        self.select = select
        compiler = Compiler({select.alias, *(join.alias for join in select.joins)})
        self._joins = [(join.alias, compiler.expression(join.source)) for join in select.joins]
        self._where = None if select.where is None else compiler.expression(select.where)
        self._group_by = [compiler.expression(key) for key in select.group_by]
        self._order_by = [(compiler.expression(item.expression), item.descending) for item in select.order_by]
        self._columns = [(name, compiler.select_item(column.expression)) for name, column in _named(select)]
        self._counts = [
            None if n is None else compiler.expression(n) for n in (select.top, select.offset, select.limit)
        ]
        self._aggregates = compiler.aggregates
        self._parameters = compiler.parameters

    @property
    def groups(self) -> bool:
        """Whether rows are aggregated."""
        return bool(self._aggregates or self._group_by)

    def scope(self, parameters: Mapping[str, Any]) -> Scope:
        """What every row's scope starts from; 400 when the query names a parameter that was not given."""
        missing = sorted(self._parameters - parameters.keys())
        if missing:
            raise syntax_error(f"The query uses the parameter {missing[0]}, which was not given.")
        return dict(parameters)

    def rows(self, base: Scope, documents: Iterable[Any]) -> Iterator[Scope]:
        """The scope of every row that FROM, JOIN and WHERE select, in the documents' order."""
        for document in documents:
            scopes = [{**base, self.select.alias: document}]
            for alias, source in self._joins:
                scopes = [{**scope, alias: element} for scope in scopes for element in _elements(source(scope))]
            for scope in scopes:
                if self._where is None or self._where(scope) is True:
                    yield scope

    def project(self, row: Scope) -> Any:
        """What the select list makes of a row; UNDEFINED means that the row gives no result."""
        if self.select.columns is None:
            return row[self.select.alias]
        if self.select.value:
            return self._columns[0][1](row)
        return {name: value for name, of in self._columns if (value := of(row)) is not UNDEFINED}

    def order_key(self, row: Scope) -> list[Any]:
        """The row's ORDER BY values in a form that compares and that JSON can carry."""
        return [list(sort_key(of(row))) for of, _ in self._order_by]

    @property
    def descending(self) -> list[bool]:
        return [descending for _, descending in self._order_by]

    def window(self, base: Scope) -> tuple[int, int | None]:
        """First result and number of results that TOP or OFFSET LIMIT ask for."""
        top, offset, limit = (None if of is None else _count(of(base)) for of in self._counts)
        return offset or 0, top if limit is None else limit

    def grouped(self, rows: Iterable[Scope]) -> Iterator[Any]:
        """The results of an aggregate or GROUP BY query."""
        groups: dict[Any, tuple[Scope, list[list[Any]]]] = {}
        if not self._group_by:
            groups[()] = ({}, [[] for _ in self._aggregates])
        for row in rows:
            key = tuple(freeze(of(row)) for of in self._group_by)
            _, collected = groups.setdefault(key, (row, [[] for _ in self._aggregates]))
            for values, (_, argument) in zip(collected, self._aggregates, strict=True):
                if (value := argument(row)) is not UNDEFINED:
                    values.append(value)
        for first, collected in groups.values():
            scope = dict(first)
            for index, values in enumerate(collected):
                scope[aggregate_slot(index)] = _aggregate(self._aggregates[index][0], values)
            yield self.project(scope)

    def results(self, base: Scope, documents: Iterable[Any]) -> list[Any]:
        """Every result in order, TOP and OFFSET LIMIT applied."""
        rows = self.rows(base, documents)
        found = list(self.grouped(rows)) if self.groups else [self.project(row) for row in self._sorted(rows)]
        found = [result for result in found if result is not UNDEFINED]
        if self.select.distinct:
            found = list({freeze(result): result for result in reversed(found)}.values())[::-1]
        first, count = self.window(base)
        return found[first : None if count is None else first + count]

    def _sorted(self, rows: Iterable[Scope]) -> Iterable[Scope]:
        if not self._order_by:
            return rows
        ordered = list(rows)
        for of, descending in reversed(self._order_by):
            ordered.sort(key=lambda row, of=of: sort_key(of(row)), reverse=descending)  # type: ignore[misc]
        return ordered


@functools.lru_cache(256)
def compile_query(text: str) -> CompiledQuery:
    """400 (SC1001) when the query is wrong or not supported."""
    return CompiledQuery(parse(text))


def evaluate(text: str, parameters: Mapping[str, Any], documents: Iterable[Any]) -> list[Any]:
    """All results of a query over documents that are at hand."""
    query = compile_query(text)
    return query.results(query.scope(parameters), documents)


def matches(condition: str, document: dict[str, Any]) -> bool:
    """Whether a patch's filter predicate, such as `from c where c.n > 1`, holds."""
    return bool(evaluate(f"SELECT VALUE 1 {condition}", {}, [document]))


def _check(select: Select) -> None:
    """Refuse what the service refuses, and combinations that have no clear meaning."""
    grouping = bool(select.group_by) or any(_aggregates_in(c.expression) for c in select.columns or ())
    if select.columns is None and (select.joins or grouping):
        raise syntax_error("'SELECT *' is only valid with a single input set and without GROUP BY.")
    if grouping and select.order_by:
        raise syntax_error("ORDER BY is not supported together with aggregates or GROUP BY.")
    if select.top is not None and select.offset is not None:
        raise syntax_error("TOP cannot be used together with OFFSET LIMIT.")
    for item in select.order_by:
        path = path_of(item.expression)
        if path is None or path[0] != select.alias or len(path) == 1:
            raise syntax_error("Unsupported ORDER BY clause. ORDER BY item expression could not be mapped to a path.")
    for column in select.columns or () if grouping else ():
        _check_grouped(column.expression, select.group_by)
    names = [name for name, _ in _named(select)]
    if len(names) != len(set(names)):
        raise syntax_error("Two columns of the select list have the same name: give one an alias with AS.")


def _check_grouped(node: Node, keys: tuple[Node, ...]) -> None:
    if node in keys or isinstance(node, Aggregate):
        return
    if isinstance(node, Name) and not node.name.startswith("@"):
        raise syntax_error(
            f"A property of '{node.name}' is invalid in the select list because it is not contained in either an "
            "aggregate function or the GROUP BY clause."
        )
    for child in children(node):
        _check_grouped(child, keys)


def _aggregates_in(node: Node) -> bool:
    return isinstance(node, Aggregate) or any(_aggregates_in(child) for child in children(node))


def _named(select: Select) -> list[tuple[str, SelectItem]]:
    """Columns with the names that they get: alias, last name of a path, or $1, $2, ..."""
    named: list[tuple[str, SelectItem]] = []
    anonymous = 0
    for column in select.columns or ():
        path = path_of(column.expression) or ()
        name = column.name or (path[-1] if path and not str(path[0]).startswith("@") else None)
        if not isinstance(name, str):
            anonymous += 1
            name = f"${anonymous}"
        named.append((name, column))
    return named


def _elements(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise syntax_error("TOP, OFFSET and LIMIT need whole numbers that are not negative.")
    return value


def _aggregate(function: str, values: list[Any]) -> Any:
    """`values` are the defined ones; one that is no number makes SUM and AVG undefined."""
    if function == "COUNT":
        return len(values)
    if function in ("MIN", "MAX"):
        candidates = [value for value in values if is_primitive(value)]
        if not candidates:
            return UNDEFINED
        return min(candidates, key=sort_key) if function == "MIN" else max(candidates, key=sort_key)
    if not all(is_number(value) for value in values) or (function == "AVG" and not values):
        return UNDEFINED
    total = sum(values)
    return tidy(total if function == "SUM" else total / len(values))
