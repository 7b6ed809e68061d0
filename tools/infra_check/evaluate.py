"""What a template would deploy, for every value that its parameters may have.

Parameters whose values are listed (`@allowed`) or that are true or false take all of them, others are unknown but for
their kind; an expression comes to all that it may come to (see values.py). On the way everything is looked at once, so
that undefined names, unknown outputs, properties that a resource does not have and wrong calls come to light here.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tree_sitter import Node

from shared.errors import did_you_mean
from tools.infra_check.functions import CALCULATED, FUNCTIONS, MANY, item, joined, operated
from tools.infra_check.schemas import Schema, kind_of, schema_of
from tools.infra_check.syntax import (
    Declaration,
    Finding,
    Template,
    line_at,
    line_of,
    literal,
    loop_of,
    properties,
    string_part,
    text,
    walk,
)
from tools.infra_check.values import OneOf, Partial, Unknown, alternatives, combine, one_of

Locals = Mapping[str, Any]


@dataclass(frozen=True)
class ResourceReference:
    """A resource that is named in an expression; of a loop one item, or all while no index is given."""

    declaration: Declaration
    deployment: Deployment
    local: tuple[tuple[str, Any], ...] = ()

    @property
    def name(self) -> Any:
        """The name of the resource, as far as it is known."""
        body = self.declaration.value
        named = [child for key, _, child in properties(body) if key == "name"] if body is not None else []
        return self.deployment.value(named[0], dict(self.local)) if named else Unknown("string")


@dataclass(frozen=True)
class ModuleReference:
    """A module that is named in an expression."""

    declaration: Declaration
    deployment: Deployment


@dataclass(frozen=True)
class _Outputs:
    of: ModuleReference


@dataclass(frozen=True)
class _Read:
    """An object of a resource, as Azure gives it back."""

    schema: Schema
    type: str
    path: str


@dataclass(frozen=True)
class Deployed:
    """A resource as it would be deployed, `value` its body."""

    declaration: Declaration
    deployment: Deployment
    value: dict[str, Any]

    @property
    def type(self) -> str:
        """Its type without the version."""
        return self.declaration.type.split("@", maxsplit=1)[0]

    def finding(self, message: str, *path: str | int) -> Finding:
        """A finding at the property that `path` leads to, or as near to it as the source goes."""
        node = self.declaration.value or self.declaration.node
        return Finding(self.deployment.template.path, line_at(node, path), message)


class Deployment:
    """A template with its parameters' values."""

    def __init__(self, template: Template, arguments: Mapping[str, Any], load: Callable[[Path], Template]) -> None:
        self.template = template
        self.arguments = arguments
        self.findings: set[Finding] = set()
        self.used: set[str] = set()
        self._load = load
        self._values: dict[str, Any] = {}
        self._modules: dict[str, Deployment | None] = {}

    @functools.cached_property
    def resources(self) -> list[Deployed]:
        """All that it deploys itself, those of a loop one by one."""
        return [each for each in self.mentioned if not each.declaration.existing]

    @functools.cached_property
    def mentioned(self) -> list[Deployed]:
        """The same with those that exist already."""
        return list(self._mentioned())

    def _mentioned(self) -> Iterator[Deployed]:
        for declaration in self.template.of_kind("resource"):
            for local in self._rounds(declaration):
                value = None if declaration.value is None else self.value(declaration.value, local)
                if isinstance(value, dict):
                    yield Deployed(declaration, self, value)

    def everything(self) -> Iterator[Deployment]:
        """This one and all below it."""
        yield self
        for declaration in self.template.of_kind("module"):
            self._rounds(declaration)
            deployment = self.module(declaration)
            if deployment is not None:
                yield from deployment.everything()

    def output(self, name: str) -> Any:
        """What an output comes to."""
        declaration = self.template.outputs[name]
        return Unknown(declaration.type) if declaration.value is None else self.value(declaration.value)

    def named(self, name: str) -> Any:
        """What a declared name stands for."""
        self.used.add(name)
        if name not in self._values:
            self._values[name] = Unknown()  # should it refer to itself
            self._values[name] = self._named(self.template.declarations[name])
        return self._values[name]

    def value(self, node: Node, local: Locals | None = None) -> Any:
        """What an expression comes to."""
        method = getattr(self, f"_value_of_{node.type}", None)
        if method is None:
            return self._report(node, f"this checker does not read {node.type}: write it otherwise")
        return method(node, local or {})

    def _named(self, declaration: Declaration) -> Any:
        if declaration.kind == "resource":
            return ResourceReference(declaration, self)
        if declaration.kind == "module":
            return ModuleReference(declaration, self)
        if declaration.kind == "var":
            return Unknown() if declaration.value is None else self.value(declaration.value)
        if declaration.name in self.arguments:
            return self.arguments[declaration.name]
        if declaration.value is not None:
            default = self.value(declaration.value)
            if self.arguments:
                return default
        return self.any_of(declaration)

    def any_of(self, declaration: Declaration) -> Any:
        """All that a parameter may be."""
        if "allowed" in declaration.decorators:
            return one_of(self.value(declaration.decorators["allowed"]))
        return OneOf((True, False)) if declaration.type == "bool" else Unknown(declaration.type)

    def _rounds(self, declaration: Declaration) -> list[Locals]:
        """The names that a resource or module sees beside the file's own: one round, or one for each item of a loop."""
        if declaration.condition is not None:
            self.value(declaration.condition)
        if declaration.loop is None:
            return [{}]
        loop = declaration.loop
        found: list[Locals] = []
        for items in alternatives(self.value(loop.items)):
            listed = items if isinstance(items, list) else [Unknown()]
            found += [{loop.item: item, loop.index: index} for index, item in enumerate(listed)]
        return found

    def module(self, declaration: Declaration) -> Deployment | None:
        """The deployment of a module; None when its file is not there."""
        if declaration.name not in self._modules:
            path = self.template.path.parent / declaration.type
            given: dict[str, Any] = {}
            if declaration.value is not None:
                body = self.value(declaration.value)
                given = body.get("params", {}) if isinstance(body, dict) else {}
            exists = path.is_file()
            self._modules[declaration.name] = Deployment(self._load(path), given, self._load) if exists else None
        return self._modules[declaration.name]

    def _report(self, node: Node, message: str) -> Unknown:
        self.findings.add(Finding(self.template.path, line_of(node), message))
        return Unknown()

    def _value_of_string(self, node: Node, local: Locals) -> Any:
        parts = [
            self.value(part.named_children[0], local) if part.type == "interpolation" else string_part(part)
            for part in node.named_children
        ]
        return combine(joined, *parts)

    def _value_of_number(self, node: Node, _: Locals) -> Any:
        return int(text(node))

    def _value_of_boolean(self, node: Node, _: Locals) -> Any:
        return text(node) == "true"

    def _value_of_null(self, _node: Node, _: Locals) -> Any:
        return None

    def _value_of_array(self, node: Node, local: Locals) -> Any:
        children = [child for child in node.named_children if child.type != "comment"]
        if len(children) == 1 and children[0].type == "for_statement":
            return self.value(children[0], local)
        return [self.value(child, local) for child in children]

    def _value_of_object(self, node: Node, local: Locals) -> Any:
        found: dict[str, Any] = {}
        for name, key, child in properties(node):
            if key.type == "string" and literal(key) is None:
                self.value(key, local)
            if name in found:
                self._report(key, f"{name} is given twice")
            found[name] = self.value(child, local)
        return found

    def _value_of_for_statement(self, node: Node, local: Locals) -> Any:
        loop = loop_of(node)
        body = node.named_children[-1]
        found = []
        for items in alternatives(self.value(loop.items, local)):
            listed = items if isinstance(items, list) else [Unknown()]
            found.append(
                [self.value(body, {**local, loop.item: item, loop.index: index}) for index, item in enumerate(listed)]
            )
        return one_of(found)

    def _value_of_parenthesized_expression(self, node: Node, local: Locals) -> Any:
        return self.value(node.named_children[0], local)

    def _value_of_lambda_expression(self, node: Node, local: Locals) -> Any:
        return self.value(node.named_children[-1], local)

    def _value_of_ternary_expression(self, node: Node, local: Locals) -> Any:
        condition, then, other = (self.value(child, local) for child in node.named_children)
        taken = [then if yes else other for yes in alternatives(condition) if isinstance(yes, bool)]
        return one_of(taken or [then, other])

    def _value_of_unary_expression(self, node: Node, local: Locals) -> Any:
        value = self.value(node.named_children[0], local)
        return combine(lambda one: (not one) if isinstance(one, bool) else Unknown("bool"), value)

    def _value_of_binary_expression(self, node: Node, local: Locals) -> Any:
        left, right = (self.value(child, local) for child in node.named_children)
        operator = text(node.children[1])
        return combine(lambda one, other: operated(operator, one, other), left, right)

    def _value_of_identifier(self, node: Node, local: Locals) -> Any:
        name = text(node)
        if name in local:
            return local[name]
        if name in self.template.declarations:
            return self.named(name)
        return self._report(node, f"{name} is not defined.{did_you_mean(name, {*local, *self.template.declarations})}")

    def _value_of_subscript_expression(self, node: Node, local: Locals) -> Any:
        of, index = (self.value(child, local) for child in node.named_children)
        if isinstance(of, ResourceReference) and of.declaration.loop is not None:
            rounds = of.deployment._rounds(of.declaration)  # noqa: SLF001 - of the same class
            known = isinstance(index, int) and index < len(rounds)
            return ResourceReference(of.declaration, of.deployment, tuple(rounds[index].items()) if known else ())
        return combine(item, of, index)

    def _value_of_member_expression(self, node: Node, local: Locals) -> Any:
        of = self.value(node.named_children[0], local)
        name = text(node.named_children[1])
        return one_of(self._member(node, each, name) for each in alternatives(of))

    def _member(self, node: Node, of: Any, name: str) -> Any:
        if isinstance(of, ResourceReference):
            return self._member_of_resource(node, of, name)
        if isinstance(of, ModuleReference):
            return _Outputs(of) if name == "outputs" else Unknown("string")
        if isinstance(of, _Outputs):
            return self._output_of(node, of.of, name)
        if isinstance(of, _Read):
            return self._read(node, of, name)
        if isinstance(of, dict) and name not in of and not isinstance(of, Partial):
            return self._report(node, f"{text(node.named_children[0])} has no property {name}.{did_you_mean(name, of)}")
        return of.get(name, Unknown()) if isinstance(of, dict) else Unknown()

    def _member_of_resource(self, node: Node, of: ResourceReference, name: str) -> Any:
        if name == "id":
            return f"<{of.declaration.name}.id>"
        if name == "name":
            return of.name
        schema = schema_of(of.declaration.type)
        return Unknown() if schema is None else self._read(node, _Read(schema, schema.body, of.declaration.name), name)

    def _read(self, node: Node, of: _Read, name: str) -> Any:
        members = of.schema.members(of.type)
        if members is None or "*" in members:
            return Unknown()
        if name not in members:
            return self._report(node, f"{of.path} has no property {name}.{did_you_mean(name, members)}")
        kind = members[name].type
        return _Read(of.schema, kind, f"{of.path}.{name}") if kind.startswith("#") else Unknown(kind_of(kind))

    def _output_of(self, node: Node, of: ModuleReference, name: str) -> Any:
        deployment = of.deployment.module(of.declaration)
        if deployment is None:
            return Unknown()
        outputs = deployment.template.outputs
        if name not in outputs:
            return self._report(
                node, f"module {of.declaration.name} has no output {name}.{did_you_mean(name, outputs)}"
            )
        return deployment.output(name)

    def _value_of_call_expression(self, node: Node, local: Locals) -> Any:
        callee, arguments = node.named_children
        name = text(callee)
        lambdas = [each for each in walk(arguments) if each.type == "lambda_expression"]
        inner = {**local, **{text(each.named_children[0]): Unknown() for each in lambdas}}
        values = [self.value(child, inner) for child in arguments.named_children if child.type != "comment"]
        if name not in FUNCTIONS:
            hint = "list functions hand out keys" if name.startswith("list") else "add it to functions.py if it exists"
            return self._report(node, f"the function {name} is not known: {hint}.{did_you_mean(name, FUNCTIONS)}")
        signature = FUNCTIONS[name]
        if not signature.least <= len(values) <= signature.most:
            most = "more" if signature.most == MANY else str(signature.most)
            wanted = str(signature.least) if signature.least == signature.most else f"{signature.least} to {most}"
            return self._report(node, f"{name}() takes {wanted} arguments, not {len(values)}")
        if name.startswith("load"):
            return self._loaded(node, name, values[0])
        if name == "fail":
            return OneOf(())  # no value: the deployment ends here
        function = CALCULATED.get(name)
        return Unknown(signature.kind) if function is None else combine(function, *values)

    def _loaded(self, node: Node, name: str, path: Any) -> Any:
        file = self.template.path.parent / str(path)
        if not file.is_file():
            return self._report(node, f"the file {path} is not there")
        content = file.read_text()
        if name == "loadTextContent":
            return content
        try:
            return json.loads(content)
        except ValueError as exc:
            return self._report(node, f"{path} is not JSON: {exc}")
