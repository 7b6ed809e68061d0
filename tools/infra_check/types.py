"""Resources against the types of Azure: properties, words, kinds, what is required and what is read-only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.errors import did_you_mean
from tools.infra_check.evaluate import Deployed, Deployment, ResourceReference
from tools.infra_check.schemas import Property, Schema, kind_of, schema_of, versions_of
from tools.infra_check.syntax import Declaration, Finding
from tools.infra_check.values import Partial, alternatives, kind_of_value

#: What Bicep itself adds to every resource.
_OF_THE_LANGUAGE = frozenset({"parent", "scope", "dependsOn"})

Path = tuple[str | int, ...]


def check_types(deployment: Deployment) -> Iterator[Finding]:
    """Findings of one template."""
    for declaration in deployment.template.of_kind("resource"):
        yield from _unknown_type(deployment, declaration)
    for resource in deployment.mentioned:
        yield from _parent(resource)
        if resource.declaration.existing:
            yield from _existing(resource)
    for resource in deployment.resources:
        schema = schema_of(resource.declaration.type)
        if schema is not None:
            check = _Check(resource, schema)
            yield from check.against(resource.value, schema.body, ())


def _unknown_type(deployment: Deployment, declaration: Declaration) -> Iterator[Finding]:
    if schema_of(declaration.type) is None:
        versions = versions_of(declaration.type)
        name = declaration.type.split("@", maxsplit=1)[0]
        message = (
            f"{declaration.type}: the API version must be {' or '.join(versions)}, whose properties are known"
            if versions
            else f"{name} is not a known type: add it to TYPES of tools/infra_check/generate.py or to hand_kept.json"
        )
        yield Finding(deployment.template.path, declaration.line, message)


def _parent(resource: Deployed) -> Iterator[Finding]:
    """A child names its parent, which is of the type that the child's begins with."""
    *above, _ = resource.type.split("/")
    if len(above) < 2:
        return
    parent = resource.value.get("parent")
    if not isinstance(parent, ResourceReference):
        yield resource.finding(f"{resource.declaration.name}: parent is required and missing", "parent")
    elif parent.declaration.type.split("@", maxsplit=1)[0] != "/".join(above):
        message = f"{resource.declaration.name}: parent is a {parent.declaration.type}, not a {'/'.join(above)}"
        yield resource.finding(message, "parent")


def _existing(resource: Deployed) -> Iterator[Finding]:
    name = resource.declaration.name
    if "name" not in resource.value:
        yield resource.finding(f"{name}: name is required and missing")
    for key in set(resource.value) - {"name", "parent", "scope"}:
        yield resource.finding(f"{name}: {key} cannot be given to a resource that exists", key)


class _Check:
    def __init__(self, resource: Deployed, schema: Schema) -> None:
        self._resource = resource
        self._schema = schema

    def against(self, value: dict[str, Any], reference: str, path: Path) -> Iterator[Finding]:
        """An object against `#Name`."""
        members = self._schema.members(reference, value)
        if members is None:
            chosen_by, choices = self._schema.choices(reference) or ("", [])
            if isinstance(value.get(chosen_by), str) or chosen_by not in value:
                found = value.get(chosen_by, "missing")
                yield self._finding(f"is {found!r}, not one of {', '.join(choices)}", (*path, chosen_by))
            return
        for name, given in value.items():
            yield from self._member(name, given, members, path)
        if not isinstance(value, Partial):
            required = {name for name, each in members.items() if each.required and not each.read_only}
            if not path and self._schema.name.count("/") == 1:
                # A location is not always marked as required, and never optional; by tags a bill is read.
                required |= {"location", "tags"} & set(members)
            for name in sorted(required - set(value)):
                yield self._finding("is required and missing", (*path, name))

    def _member(self, name: str, given: Any, members: dict[str, Property], path: Path) -> Iterator[Finding]:
        here = (*path, name)
        if name in members:
            if members[name].read_only:
                yield self._finding("is read-only", here)
            yield from self.value(given, members[name].type, here)
        elif "*" in members:
            yield from self.value(given, members["*"].type, here)
        elif path or name not in _OF_THE_LANGUAGE:
            yield self._finding(f"is not a property.{did_you_mean(name, members)}", here)

    def value(self, value: Any, wanted: str, path: Path) -> Iterator[Finding]:
        """Every alternative of a value against a type."""
        for each in alternatives(value):
            yield from self._one(each, wanted, path)

    def _one(self, value: Any, wanted: str, path: Path) -> Iterator[Finding]:
        kind, expected = kind_of_value(value), kind_of(wanted)
        if kind in ("null", "") or not expected:
            return
        if kind != expected:
            yield self._finding(f"is of kind {kind}, not {expected}", path)
        elif wanted.startswith("=") and isinstance(value, str) and value not in wanted[1:].split("|"):
            yield self._finding(f"is {value!r}, not one of {', '.join(wanted[1:].split('|'))}", path)
        elif wanted.startswith("[]") and isinstance(value, list):
            for index, item in enumerate(value):
                yield from self.value(item, wanted[2:], (*path, index))
        elif wanted.startswith("#") and isinstance(value, dict):
            yield from self.against(value, wanted, path)

    def _finding(self, message: str, path: Path) -> Finding:
        dotted = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        return self._resource.finding(f"{self._resource.declaration.name}: {dotted} {message}", *path)
