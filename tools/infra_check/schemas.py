"""What Azure knows of its resources: properties, their types, which are required and which are read-only.

`schemas.json` is made from Azure's own type index by `python -m tools.infra_check.generate`; `hand_kept.json` holds in
the same form what that index lacks, taken from the reference at https://learn.microsoft.com/azure/templates.

A property's name ends in `!` when it is required and in `~` when it is read-only; `*` stands for any name. Types:
`string`, `int`, `bool`, `any`, `object`, `=a|b` one of these words, `~a|b` these words or another, `#Name` an object of
`types`, `[]T` an array. An object that has the key `?` is chosen by the property that it names.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Property:
    """One property of an object."""

    type: str
    required: bool
    read_only: bool


@dataclass(frozen=True)
class Schema:
    """A resource type of one API version."""

    name: str
    body: str
    types: Mapping[str, Mapping[str, Any]]

    def members(self, reference: str, chosen_by: Mapping[str, Any] | None = None) -> dict[str, Property] | None:
        """The properties of `#Name`; of a chosen object those that `chosen_by` chooses, None when it chooses none."""
        found = self.types[reference.removeprefix("#")]
        if "?" in found:
            chosen = (chosen_by or {}).get(found["?"])
            if not isinstance(chosen, str) or chosen not in found:
                return None
            found = found[chosen]
        return {name.rstrip("!~"): Property(kind, "!" in name, "~" in name) for name, kind in found.items()}

    def choices(self, reference: str) -> tuple[str, list[str]] | None:
        """For a chosen object the property that chooses, and its values."""
        found = self.types[reference.removeprefix("#")]
        return (found["?"], sorted(set(found) - {"?"})) if "?" in found else None


@functools.cache
def schemas() -> dict[str, Schema]:
    """Every known type, by `provider/type@version` in lower case."""
    known: dict[str, Schema] = {}
    for name in ("schemas.json", "hand_kept.json"):
        for key, entry in json.loads((_FOLDER / name).read_text())["resources"].items():
            known[key.lower()] = Schema(key, entry["body"], entry["types"])
    return known


def schema_of(declared: str) -> Schema | None:
    """The schema of `Provider/type@version`, if it is known."""
    return schemas().get(declared.lower())


def versions_of(declared: str) -> list[str]:
    """The known versions of a type."""
    name = declared.split("@", maxsplit=1)[0].lower() + "@"
    return sorted(key.removeprefix(name) for key in schemas() if key.startswith(name))


def kind_of(declared: str) -> str:
    """The kind of value that a schema's type is: string, int, bool, array, object, or empty for any."""
    if declared.startswith("[]"):
        return "array"
    if declared.startswith("#"):
        return "object"
    if declared[:1] in "=~":
        return "string"
    return "" if declared == "any" else declared
