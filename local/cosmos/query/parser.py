"""From a query's text to its syntax tree; what is outside the supported subset is refused by name.

Grammar: https://learn.microsoft.com/azure/cosmos-db/nosql/query/select
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from local.cosmos.query.lexer import Token, syntax_error, tokenize
from local.cosmos.query.syntax import (
    Aggregate,
    ArrayOf,
    Binary,
    Call,
    In,
    Join,
    Like,
    Literal,
    Member,
    Name,
    Node,
    ObjectOf,
    OrderItem,
    Select,
    SelectItem,
    Unary,
)
from local.cosmos.query.values import UNDEFINED

AGGREGATES = frozenset(("COUNT", "SUM", "AVG", "MIN", "MAX"))
_CONSTANTS = {"TRUE": True, "FALSE": False, "NULL": None, "UNDEFINED": UNDEFINED}
_COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=")
#: What may not follow `NOT x` without parentheses: whether NOT or the operator binds first is unclear to readers.
_AMBIGUOUS_AFTER_NOT = (*_COMPARISONS, "+", "-", "*", "/", "%", "IN", "BETWEEN", "LIKE", "NOT")
_Parsed = TypeVar("_Parsed")


def parse(text: str) -> Select:
    """Raises the service's 400 (SC1001) for a query that is wrong or not supported."""
    return _Parser(tokenize(text)).query()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._position = 0

    # --- tokens -------------------------------------------------------------------------------------------------

    @property
    def _next(self) -> Token:
        return self._tokens[self._position]

    def _advance(self) -> Token:
        token = self._next
        self._position += 1
        return token

    def _at(self, *values: str) -> bool:
        return self._next.kind in ("keyword", "operator") and self._next.value in values

    def _accept(self, *values: str) -> str | None:
        return str(self._advance().value) if self._at(*values) else None

    def _expect(self, value: str) -> None:
        if not self._accept(value):
            raise self._error(f"expected '{value}'")

    def _error(self, hint: str = "") -> Exception:
        near = self._next.text or "the end"
        return syntax_error(f"Syntax error, incorrect syntax near '{near}'" + (f": {hint}." if hint else "."))

    def _list(self, item: Callable[[], _Parsed], end: str | None = None) -> tuple[_Parsed, ...]:
        """Comma-separated items, at least one unless `end`, which is consumed, comes first."""
        items: list[_Parsed] = []
        if end and self._accept(end):
            return ()
        items.append(item())
        while self._accept(","):
            items.append(item())
        if end:
            self._expect(end)
        return tuple(items)

    def _identifier(self) -> str:
        if self._next.kind != "name":
            hint = 'a reserved word as a property name is written c["name"]' if self._next.kind == "keyword" else ""
            raise self._error(hint)
        return self._advance().text

    # --- query --------------------------------------------------------------------------------------------------

    def query(self) -> Select:
        self._expect("SELECT")
        distinct = bool(self._accept("DISTINCT"))
        top = self._count() if self._accept("TOP") else None
        value = bool(self._accept("VALUE"))
        columns = None if not value and self._accept("*") else self._columns(value)
        self._expect("FROM")
        alias = self._source()
        joins: list[Join] = []
        while self._accept("JOIN"):
            joins.append(self._join())
        where = self._expression() if self._accept("WHERE") else None
        group_by = self._list(self._expression) if self._clause("GROUP") else ()
        order_by = self._list(self._order_item) if self._clause("ORDER") else ()
        offset = limit = None
        if self._accept("OFFSET"):
            offset = self._count()
            self._expect("LIMIT")
            limit = self._count()
        if self._next.kind != "end":
            raise self._error()
        return Select(alias, columns, value, distinct, tuple(joins), where, group_by, order_by, top, offset, limit)

    def _clause(self, keyword: str) -> bool:
        if not self._accept(keyword):
            return False
        self._expect("BY")
        return True

    def _count(self) -> Node:
        token = self._advance()
        if token.kind == "parameter":
            return Name(token.text)
        if token.kind == "number" and isinstance(token.value, int):
            return Literal(token.value)
        raise syntax_error(f"Syntax error near '{token.text}': expected a whole number or a parameter.")

    def _columns(self, value: bool) -> tuple[SelectItem, ...]:
        return (self._column(),) if value else self._list(self._column)

    def _column(self) -> SelectItem:
        expression = self._expression()
        named = self._accept("AS") or self._next.kind == "name"
        return SelectItem(expression, self._identifier() if named else None)

    def _source(self) -> str:
        """`FROM c`, `FROM root c` or `FROM root AS c`: the alias."""
        alias = self._identifier()
        if self._at(".", "[", "IN", "("):
            raise self._error("only a whole container after FROM is supported by this emulator")
        if self._accept("AS") or self._next.kind == "name":
            alias = self._identifier()
        return alias

    def _join(self) -> Join:
        alias = self._identifier()
        self._expect("IN")
        return Join(alias, self._primary())

    def _order_item(self) -> OrderItem:
        expression = self._expression()
        return OrderItem(expression, self._accept("ASC", "DESC") == "DESC")

    # --- expressions, loosest first -----------------------------------------------------------------------------

    def _expression(self) -> Node:
        left = self._conjunction()
        while self._accept("OR"):
            left = Binary("OR", left, self._conjunction())
        return left

    def _conjunction(self) -> Node:
        left = self._comparison()
        while self._accept("AND"):
            left = Binary("AND", left, self._comparison())
        return left

    def _comparison(self) -> Node:
        left = self._sum()
        operator = self._accept(*_COMPARISONS)
        if operator:
            return Binary("!=" if operator == "<>" else operator, left, self._sum())
        negated = bool(self._accept("NOT"))
        if self._accept("IN"):
            self._expect("(")
            found: Node = In(left, self._list(self._expression, ")"))
        elif self._accept("BETWEEN"):
            low = self._sum()
            self._expect("AND")
            found = Binary("AND", Binary(">=", left, low), Binary("<=", left, self._sum()))
        elif self._accept("LIKE"):
            found = Like(left, self._sum(), self._escape())
        elif negated:
            raise self._error("expected IN, BETWEEN or LIKE after NOT")
        else:
            return left
        return Unary("NOT", found) if negated else found

    def _escape(self) -> str | None:
        if not self._accept("ESCAPE"):
            return None
        token = self._advance()
        if token.kind != "string" or len(token.value) != 1:
            raise syntax_error("ESCAPE needs a string of one character.")
        return str(token.value)

    def _sum(self) -> Node:
        left = self._product()
        while operator := self._accept("+", "-"):
            left = Binary(operator, left, self._product())
        return left

    def _product(self) -> Node:
        left = self._unary()
        while operator := self._accept("*", "/", "%"):
            left = Binary(operator, left, self._unary())
        return left

    def _unary(self) -> Node:
        if self._accept("-"):
            return Unary("-", self._unary())
        if self._accept("NOT"):
            operand = self._unary()
            if self._at(*_AMBIGUOUS_AFTER_NOT):
                raise self._error("write NOT (...) around what NOT applies to")
            return Unary("NOT", operand)
        return self._primary()

    def _primary(self) -> Node:
        node = self._atom()
        while True:
            if self._accept("."):
                node = Member(node, Literal(self._identifier()))
            elif self._accept("["):
                node = Member(node, self._expression())
                self._expect("]")
            else:
                return node

    def _atom(self) -> Node:
        if self._next.kind in ("number", "string"):
            return Literal(self._advance().value)
        if self._next.kind == "parameter":
            return Name(self._advance().text)
        if self._next.kind == "name":
            return self._name_or_call()
        if self._at(*_CONSTANTS):
            return Literal(_CONSTANTS[self._advance().value])
        if self._accept("("):
            if self._at("SELECT"):
                raise self._error("subqueries are not supported by this emulator")
            node = self._expression()
            self._expect(")")
            return node
        if self._accept("["):
            return ArrayOf(self._list(self._expression, "]"))
        if self._accept("{"):
            return ObjectOf(self._list(self._member, "}"))
        if self._at("EXISTS", "ARRAY", "ALL", "FIRST", "LAST", "UDF"):
            raise self._error("subqueries and user-defined functions are not supported by this emulator")
        raise self._error()

    def _member(self) -> tuple[str, Node]:
        name = str(self._advance().value) if self._next.kind == "string" else self._identifier()
        self._expect(":")
        return name, self._expression()

    def _name_or_call(self) -> Node:
        name = self._advance().text
        if not self._accept("("):
            return Name(name)
        arguments = self._list(self._expression, ")")
        if name.upper() not in AGGREGATES:
            return Call(name.upper(), arguments)
        if len(arguments) != 1:
            raise syntax_error(f"{name} takes one argument.")
        return Aggregate(name.upper(), arguments[0])
