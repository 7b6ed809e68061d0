"""What templates promise each other: parameters, outputs, names, and the parameter files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.errors import did_you_mean
from tools.infra_check.evaluate import Deployment
from tools.infra_check.functions import DECORATORS
from tools.infra_check.syntax import Declaration, Finding, line_of, properties
from tools.infra_check.values import Unknown, alternatives, kind_of_value

_OF_A_MODULE = frozenset({"name", "scope", "params", "dependsOn"})
#: `${NAME}` and `${NAME=default}`, which azd replaces in main.parameters.json.
_AZD = re.compile(r"\$\{(\w+)(?:=([^}]*))?\}")


def check_contracts(deployment: Deployment) -> Iterator[Finding]:
    """Findings of one template, once everything in it has been evaluated."""
    template = deployment.template
    for output in template.outputs.values():
        for kind in _kinds(deployment.output(output.name)) - {output.type}:
            message = f"output {output.name} is declared {output.type}, but is of kind {kind}"
            yield Finding(template.path, output.line, message)
    for declaration in template.of_kind("module"):
        yield from _module(deployment, declaration)
    for declaration in [*template.of_kind("param"), *template.of_kind("var")]:
        if declaration.kind == "param":
            yield from _parameter(deployment, declaration)
        if declaration.name not in deployment.used:
            yield Finding(template.path, declaration.line, f"{declaration.kind} {declaration.name} is not used")


def check_values(
    deployment: Deployment, declaration: Declaration, value: Any, line: tuple[Path, int]
) -> Iterator[Finding]:
    """A parameter's value against its type and its decorators."""
    for each in alternatives(value):
        kind = kind_of_value(each)
        if kind not in ("", "null", declaration.type):
            yield Finding(*line, f"param {declaration.name} is {declaration.type}, but the value is of kind {kind}")
        elif kind and not isinstance(each, Unknown):
            yield from _limits(deployment, declaration, each, line)


def read_parameters(path: Path, deployment: Deployment) -> tuple[dict[str, Any], list[Finding]]:
    """The values of a parameter file, those that azd fills in as far as they are known, and what is wrong with it."""
    findings: list[Finding] = []
    values: dict[str, Any] = {}
    declared = {each.name: each for each in deployment.template.of_kind("param")}
    lines = path.read_text().split("\n")
    for name, entry in json.loads("\n".join(lines))["parameters"].items():
        line = next((number for number, each in enumerate(lines, 1) if f'"{name}"' in each), 1)
        if name not in declared:
            findings.append(Finding(path, line, f"main.bicep has no param {name}.{did_you_mean(name, declared)}"))
            continue
        values[name] = _filled_in(entry["value"], declared[name].type)
        findings += check_values(deployment, declared[name], values[name], (path, line))
    for name, declaration in declared.items():
        if declaration.value is None and name not in values:
            findings.append(Finding(path, 1, f"param {name} of main.bicep has no default and no value here"))
    return values, findings


def _filled_in(value: Any, kind: str) -> Any:
    match = _AZD.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value
    default = match[2]
    if default is None:
        return Unknown(kind)
    if kind == "bool" and default in ("true", "false"):
        return default == "true"
    return int(default) if kind == "int" and default.lstrip("-").isdigit() else default


def _parameter(deployment: Deployment, declaration: Declaration) -> Iterator[Finding]:
    place = (deployment.template.path, declaration.line)
    if "description" not in declaration.decorators:
        yield Finding(*place, f"param {declaration.name} has no @description")
    for name in set(declaration.decorators) - DECORATORS:
        yield Finding(*place, f"param {declaration.name} has an unknown decorator @{name}")
    if declaration.value is not None:
        yield from check_values(deployment, declaration, deployment.value(declaration.value), place)


def _module(deployment: Deployment, declaration: Declaration) -> Iterator[Finding]:
    path = deployment.template.path
    child = deployment.module(declaration)
    if child is None:
        yield Finding(path, declaration.line, f"module {declaration.name}: the file {declaration.type} is not there")
        return
    yield from _module_body(deployment, declaration)
    declared = {each.name: each for each in child.template.of_kind("param")}
    lines = _argument_lines(declaration)
    for name, value in child.arguments.items():
        place = (path, lines.get(name, declaration.line))
        if name in declared:
            yield from check_values(child, declared[name], value, place)
        else:
            yield Finding(*place, f"module {declaration.name} has no param {name}.{did_you_mean(name, declared)}")
    for name, parameter in declared.items():
        if parameter.value is None and name not in child.arguments:
            yield Finding(path, declaration.line, f"module {declaration.name} needs the param {name}")


def _module_body(deployment: Deployment, declaration: Declaration) -> Iterator[Finding]:
    given = {} if declaration.value is None else {key: line_of(node) for key, node, _ in properties(declaration.value)}
    place = (deployment.template.path, declaration.line)
    for name in set(given) - _OF_A_MODULE:
        yield Finding(place[0], given[name], f"module {declaration.name}: {name} is not a property of modules")
    for name in {"name", "scope"} - set(given):
        yield Finding(*place, f"module {declaration.name}: {name} is required here and missing")


def _argument_lines(declaration: Declaration) -> dict[str, int]:
    if declaration.value is None:
        return {}
    for name, _, value in properties(declaration.value):
        if name == "params":
            return {argument: key.start_point[0] + 1 for argument, key, _ in properties(value)}
    return {}


def _limits(deployment: Deployment, declaration: Declaration, value: Any, place: tuple[Path, int]) -> Iterator[Finding]:
    limits = {name: deployment.value(node) for name, node in declaration.decorators.items()}
    size = len(value) if isinstance(value, str | list) else value
    name = f"param {declaration.name}"
    if value not in limits.get("allowed", [value]):
        yield Finding(*place, f"{name} is {value!r}, not one of {', '.join(map(str, limits['allowed']))}")
    for low in ("minValue", "minLength"):
        if low in limits and isinstance(size, int) and size < limits[low]:
            yield Finding(*place, f"{name} is {value!r}, below its @{low} of {limits[low]}")
    for high in ("maxValue", "maxLength"):
        if high in limits and isinstance(size, int) and size > limits[high]:
            yield Finding(*place, f"{name} is {value!r}, above its @{high} of {limits[high]}")


def _kinds(value: Any) -> set[str]:
    return {kind_of_value(each) for each in alternatives(value)} - {"", "null"}
