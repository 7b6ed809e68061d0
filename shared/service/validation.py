"""Turning decoded JSON into typed data, with errors that point at the wrong field and suggest the right one."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from shared.errors import InvalidRequestError, did_you_mean

T = TypeVar("T")

# msgspec ends its messages with ` - at `$.tags[0]`` and names what it did not expect in back-quotes.
_PATH = re.compile(r" - at `(?:key in )?\$(?P<path>[^`]*)`$")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
_ENUM_VALUE = re.compile(r"Invalid enum value (?P<value>.*)$")


def convert(data: Any, to: type[T], at: str = "") -> T:
    """`data` as `to`. Raises InvalidRequestError whose pointer (RFC 6901) starts at `at`."""
    try:
        return msgspec.convert(data, to)
    except msgspec.ValidationError as exc:
        raise _invalid(str(exc), to, at) from None


def _invalid(text: str, to: Any, at: str) -> InvalidRequestError:
    path = _PATH.search(text)
    detail = _PATH.sub("", text)
    pointer = at + _pointer(path["path"] if path else "")
    if match := _UNKNOWN_FIELD.search(detail):
        known = [field.name for field in msgspec.structs.fields(to)]
        pointer += f"/{escape(match['name'])}"
        detail = f"unknown field.{did_you_mean(match['name'], known)} Known: {', '.join(known)}."
    elif match := _MISSING_FIELD.search(detail):
        pointer += f"/{match['name']}"
        detail = "required, but missing."
    elif match := _ENUM_VALUE.search(detail):
        detail = _enum_detail(match["value"].strip("'\""), pointer, to)
    else:
        detail = detail.replace("`", "")
    where = pointer or "the body"
    return InvalidRequestError(f"{where}: {detail}", errors=[(pointer, detail)])


def _enum_detail(value: str, pointer: str, to: Any) -> str:
    """What the field takes instead, where its type is one of ours."""
    name = pointer.rsplit("/", 1)[-1]
    choices = _choices(msgspec.json.schema(to), name)
    if not choices:
        return f"{value!r} is not one of the allowed values."
    return f"{value!r} is not allowed.{did_you_mean(value, choices)} Allowed: {', '.join(choices)}."


def _choices(schema: dict[str, Any], name: str) -> list[str]:
    definitions = schema.get("$defs", {})
    for definition in definitions.values():
        field = definition.get("properties", {}).get(name)
        if field is None:
            continue
        for option in field.get("anyOf", [field]):
            target = definitions.get(option.get("$ref", "").rsplit("/", 1)[-1], option)
            if "enum" in target:
                return [str(choice) for choice in target["enum"]]
    return []


def escape(name: str) -> str:
    """A member's name as a part of a JSON pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


def _pointer(path: str) -> str:
    """msgspec's `.tags[0].name` as the JSON pointer `/tags/0/name`."""
    return "".join(f"/{part}" for part in re.split(r"[.\[\]]+", path) if part)
