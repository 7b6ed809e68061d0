"""HTTP routes: ASP.NET templates and constraints, tried in the order of the functions' names.

A literal does not beat a parameter, and a method that does not fit lets the next route try, so a wrong method ends as
404. Sources: Azure/azure-functions-host, WebScriptHostHttpRoutesManager and FunctionMetadataManager; the template
language is ASP.NET Core's (learn.microsoft.com/aspnet/core/fundamentals/routing).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote

from local.host.indexing import Function

_Check = Callable[[str], bool]
_RESERVED = ("admin", "runtime")
_INT32, _INT64 = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1)


class RouteError(Exception):
    """A route template that the real host refuses; only its function is left out."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One `{...}` of a template."""

    name: str
    constraints: tuple[_Check, ...]
    default: str | None
    optional: bool
    catch_all: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled route template."""

    text: str
    pattern: re.Pattern[str]
    parameters: tuple[Parameter, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """The route values of `path` (decoded, without outer slashes), or None. Absent optional values are left out."""
        match = self.pattern.fullmatch(path)
        if match is None:
            return None
        values = {}
        for position, parameter in enumerate(self.parameters):
            value = match[f"p{position}"]
            if value is None or (parameter.catch_all and not value):
                value = parameter.default
            if value is None:
                continue
            if not all(check(value) for check in parameter.constraints):
                return None
            values[parameter.name] = value
        return values


def _integer(low: int, high: int) -> _Check:
    def check(value: str) -> bool:
        return re.fullmatch(r"\s*[+-]?\d+\s*", value) is not None and low <= int(value) <= high

    return check


def _length(minimum: int, maximum: int | None = None) -> _Check:
    return lambda value: minimum <= len(value) and (maximum is None or len(value) <= maximum)


def _parses(parse: Callable[[str], object]) -> _Check:
    def check(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


def _regex(pattern: str) -> _Check:
    compiled = re.compile(pattern, re.IGNORECASE)
    return lambda value: compiled.search(value) is not None


def _number(value: str) -> None:
    if re.fullmatch(r"\s*[+-]?(\d[\d,]*)?(\.\d*)?([eE][+-]?\d+)?\s*", value) is None:
        raise ValueError(value)
    float(value.replace(",", ""))


#: ASP.NET's default inline constraints, by name: each makes a check from its arguments.
_CONSTRAINTS: Mapping[str, Callable[..., _Check]] = {
    "int": lambda: _integer(*_INT32),
    "long": lambda: _integer(*_INT64),
    "bool": lambda: lambda value: value.strip().lower() in {"true", "false"},
    "datetime": lambda: _parses(datetime.fromisoformat),
    "decimal": lambda: _parses(_number),
    "double": lambda: _parses(_number),
    "float": lambda: _parses(_number),
    "guid": lambda: _parses(uuid.UUID),
    "alpha": lambda: _regex(r"^[a-z]*$"),
    "required": lambda: lambda value: value != "",
    "minlength": lambda minimum: _length(int(minimum)),
    "maxlength": lambda maximum: _length(0, int(maximum)),
    "length": lambda minimum, maximum=None: _length(int(minimum), int(maximum or minimum)),
    "min": lambda minimum: _integer(int(minimum), _INT64[1]),
    "max": lambda maximum: _integer(_INT64[0], int(maximum)),
    "range": lambda minimum, maximum: _integer(int(minimum), int(maximum)),
    "regex": _regex,
}


def compile_template(text: str) -> Template:
    """Compile `jobs/{id:int}/{*rest}` and the like; RouteError when it is malformed."""
    parameters: list[Parameter] = []
    pattern, tail_optional = "", True
    for segment in reversed([part for part in _split(text, "/") if part]):
        compiled, optional = _compile_segment(segment, parameters)
        tail_optional = tail_optional and optional
        pattern = f"(?:/{compiled}{pattern})?" if tail_optional else f"/{compiled}{pattern}"
    names = [parameter.name.lower() for parameter in parameters]
    if len(set(names)) != len(names):
        raise RouteError(f"The route '{text}' uses a parameter name twice.")
    return Template(text, re.compile(pattern, re.IGNORECASE | re.DOTALL), tuple(parameters))


def _split(text: str, separator: str) -> list[str]:
    """Split at `separator` outside of braces and parentheses."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "{(") - (character in "})")
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _compile_segment(segment: str, parameters: list[Parameter]) -> tuple[str, bool]:
    """The pattern of one segment, and whether the segment may be missing. Its parameters are appended."""
    pieces = _pieces(segment)
    pattern = ""
    for index, (literal, source) in enumerate(pieces):
        pattern += re.escape(literal)
        if source is None:
            continue
        parameter = _parse_parameter(source)
        group = f"(?P<p{len(parameters)}>"
        parameters.append(parameter)
        if parameter.catch_all:
            pattern += f"{group}.*)"
        elif parameter.optional and index > 0:
            if not literal.endswith("."):
                raise RouteError(f"In '{segment}' an optional parameter must be preceded by a period.")
            pattern = pattern.removesuffix(r"\.").replace("[^/]+)", "[^/]+?)") + rf"(?:\.{group}[^/.]+))?"
        else:
            pattern += f"{group}[^/]+)"
    single = len(pieces) == 1 and not pieces[0][0] and pieces[0][1] is not None
    last = parameters[-1] if single else None
    return pattern, last is not None and (last.optional or last.catch_all or last.default is not None)


def _pieces(segment: str) -> list[tuple[str, str | None]]:
    """`a{b}c` as [("a", "b"), ("c", None)]: literals, each with the parameter that follows it."""
    pieces: list[tuple[str, str | None]] = []
    rest = segment
    while rest:
        start = rest.find("{")
        if start < 0:
            pieces.append((rest, None))
            break
        depth, end = 0, start
        for end in range(start, len(rest)):
            depth += (rest[end] == "{") - (rest[end] == "}")
            if depth == 0:
                break
        if depth:
            raise RouteError(f"The route segment '{segment}' has an unclosed brace.")
        pieces.append((rest[:start], rest[start + 1 : end]))
        rest = rest[end + 1 :]
    return pieces


def _parse_parameter(source: str) -> Parameter:
    name, *constraints = _split(source, ":")
    catch_all = name.startswith("*")
    head, *defaults = _split(constraints[-1] if constraints else name, "=")
    optional = not defaults and head.endswith("?")
    head = head.removesuffix("?") if optional else head
    if constraints:
        constraints[-1] = head
    else:
        name = head
    name = name.lstrip("*")
    if not re.fullmatch(r"[^{}/*?:=]+", name):
        raise RouteError(f"The route parameter '{{{source}}}' has no valid name.")
    default = "=".join(defaults) if defaults else None
    return Parameter(name, tuple(map(_constraint, constraints)), default, optional, catch_all)


def _constraint(source: str) -> _Check:
    match = re.fullmatch(r"(\w+)(?:\((.*)\))?", source, re.DOTALL)
    if match is None or match[1].lower() not in _CONSTRAINTS:
        raise RouteError(f"The constraint reference '{source}' could not be resolved to a type.")
    name, text = match[1].lower(), match[2]
    if text is None:
        arguments = []
    elif name == "regex":
        arguments = [text.replace("{{", "{").replace("}}", "}").replace("\\\\", "\\")]
    else:
        arguments = [argument.strip() for argument in text.split(",")]
    try:
        return _CONSTRAINTS[name](*arguments)
    except (TypeError, ValueError, re.error) as error:
        raise RouteError(f"The constraint '{source}' is not valid: {error}") from error


@dataclass(frozen=True, slots=True)
class Route:
    """A function's route. `methods` None means every method."""

    function: Function
    template: Template
    methods: frozenset[str] | None


class RouteTable:
    """The routes of the HTTP functions, in the order in which they are tried."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._routes: list[Route] = []

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes)

    def __len__(self) -> int:
        return len(self._routes)

    def add(self, function: Function) -> Route:
        """Map `function`; functions come sorted by name. RouteError when the real host would leave it out."""
        text = str(function.trigger.get("route") or function.name)
        methods = function.trigger.get("methods")
        allowed = frozenset(str(method).upper() for method in methods) if methods else None
        if text.lstrip("/").lower().startswith(_RESERVED):
            raise RouteError("The specified route conflicts with one or more built in routes.")
        template = compile_template(f"{self._prefix}/{text.strip('/')}".strip("/"))
        for other in self._routes:
            same = other.template.text.lower() == template.text.lower()
            if same and (allowed is None or other.methods is None or allowed & other.methods):
                raise RouteError(
                    f"The route specified conflicts with the route defined by function '{other.function.name}'."
                )
        route = Route(function, template, allowed)
        self._routes.append(route)
        return route

    def match(self, method: str, raw_path: str) -> tuple[Function, dict[str, str]] | None:
        """The first route that fits, with its values. `raw_path` is still percent-encoded; %2F stays so."""
        path = unquote(raw_path.replace("%2F", "%252F").replace("%2f", "%252f"))
        path = path.removesuffix("/") if path != "/" else ""
        for route in self._routes:
            if route.methods is not None and method not in route.methods:
                continue
            values = route.template.match(path)
            if values is not None:
                return route.function, values
        return None
