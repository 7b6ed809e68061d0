"""Tokens of a query."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from local.cosmos.errors import CosmosError, bad_request

#: Reserved: a property of this name is written c["name"].
KEYWORDS = frozenset(
    """
    ALL AND ARRAY AS ASC BETWEEN BY DESC DISTINCT ESCAPE EXISTS FALSE FIRST FROM GROUP IN JOIN LAST LIKE LIMIT NOT NULL
    OFFSET OR ORDER SELECT TOP TRUE UDF UNDEFINED VALUE WHERE
    """.split()  # noqa: SIM905 - a page of quotes says less
)
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number> (?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)? )
    | (?P<string> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" )
    | (?P<parameter> @\w+ )
    | (?P<name> [A-Za-z_]\w* )
    | (?P<operator> <> | != | <= | >= | [-+*/%=<>(){}\[\],.:] )
    | (?P<end> $ )
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


class Token(NamedTuple):
    """`kind`: number, string, parameter, name, keyword, operator or end. `value`: decoded; `text`: as written."""

    kind: str
    value: Any
    text: str


def syntax_error(message: str) -> CosmosError:
    """The 400 of a query that is wrong or that this emulator does not understand."""
    return bad_request(f'{{"errors":[{{"severity":"Error","code":"SC1001","message":"{message}"}}]}}')


def tokenize(text: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while not tokens or tokens[-1].kind != "end":
        found = _TOKEN.match(text, position)
        if found is None:
            near = text[position:].strip()[:20]
            raise syntax_error(f"Syntax error, incorrect syntax near '{near}', or an operator not supported here.")
        position = found.end()
        tokens.append(_token(str(found.lastgroup), found.group(str(found.lastgroup))))
    return tokens


def _token(kind: str, text: str) -> Token:
    if kind == "number":
        return Token(kind, int(text) if text.isdecimal() else float(text), text)
    if kind == "string":
        return Token(kind, _decode(text), text)
    if kind == "name" and text.upper() in KEYWORDS:
        return Token("keyword", text.upper(), text)
    return Token(kind, text, text)


def _decode(text: str) -> str:
    """The string that a literal stands for; two \\u escapes may make one character beyond the basic plane."""
    raw = _ESCAPE.sub(_unescape, text[1:-1])
    try:
        return raw.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise syntax_error(f"Syntax error, {text} holds half of a surrogate pair.") from None


def _unescape(found: re.Match[str]) -> str:
    escape = found[1]
    return chr(int(escape[1:], 16)) if len(escape) == 5 else _ESCAPED.get(escape, escape)
