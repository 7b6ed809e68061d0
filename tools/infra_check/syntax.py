"""Bicep as a tree: a file's declarations, and what of the language we do not use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tree_sitter_bicep
from tree_sitter import Language, Node, Parser

_KINDS = {
    "parameter_declaration": "param",
    "variable_declaration": "var",
    "resource_declaration": "resource",
    "module_declaration": "module",
    "output_declaration": "output",
}
#: Parts of the language that we do without, so that this checker understands all that we write.
_NOT_USED = {
    "type_declaration": "user-defined types",
    "user_defined_function": "user-defined functions",
    "import_functionality": "imports",
    "import_statement": "imports",
    "assert_statement": "assertions",
}


@dataclass(frozen=True, order=True)
class Finding:
    """What is wrong and where. `line` counts from 1."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Declaration:
    """A parameter, variable, resource, module or output.

    `type` is a primitive's name for parameters and outputs, `Provider/type@version` for resources, a path for modules.
    `value` is the default, the value or the body; for a loop the body of one item.
    """

    kind: str
    name: str
    node: Node
    type: str
    value: Node | None
    loop: Loop | None = None
    condition: Node | None = None
    existing: bool = False
    decorators: dict[str, Node] = field(default_factory=dict)

    @property
    def line(self) -> int:
        """Where it begins."""
        return line_of(self.node)


@dataclass(frozen=True)
class Loop:
    """`for item in items` or `for (item, index) in items`."""

    item: str
    index: str
    items: Node


@dataclass(frozen=True)
class Template:
    """A file, read. `declarations` holds the first of each name; outputs have names of their own."""

    path: Path
    root: Node
    declarations: dict[str, Declaration]
    outputs: dict[str, Declaration]
    findings: list[Finding]

    def of_kind(self, kind: str) -> Iterator[Declaration]:
        """The declarations of one kind, in the file's order."""
        return (each for each in self.declarations.values() if each.kind == kind)


def read_template(path: Path) -> Template:
    """Read a file. What cannot be read is among its findings."""
    root = Parser(Language(tree_sitter_bicep.language())).parse(path.read_bytes()).root_node
    template = Template(path, root, {}, {}, _syntax_findings(path, root))
    decorators: dict[str, Node] = {}
    for node in root.named_children:
        if node.type == "decorators":
            decorators = _decorators(node)
        elif node.type in _KINDS:
            declaration = _declaration(node, decorators)
            known = template.outputs if declaration.kind == "output" else template.declarations
            if declaration.name in known:
                template.findings.append(
                    Finding(
                        path,
                        declaration.line,
                        f"{declaration.name} is declared twice; the first is in line {known[declaration.name].line}",
                    )
                )
            known.setdefault(declaration.name, declaration)
            decorators = {}
    return template


def text(node: Node) -> str:
    """The source of a node."""
    return (node.text or b"").decode()


def line_of(node: Node) -> int:
    """The line of a node, from 1."""
    return node.start_point[0] + 1


def literal(node: Node) -> str | None:
    """The text of a string without interpolation, else None."""
    if node.type != "string" or any(child.type == "interpolation" for child in node.named_children):
        return None
    return "".join(map(string_part, node.named_children))


def string_part(node: Node) -> str:
    """A piece of a string, its escapes resolved."""
    raw = text(node)
    if node.type == "escape_sequence":
        return {"\\n": "\n", "\\t": "\t", "\\r": "\r"}.get(raw, raw[1:])
    return raw


def properties(node: Node) -> Iterator[tuple[str, Node, Node]]:
    """The properties of an object as (name, key, value). A computed name comes as its source."""
    for child in node.named_children:
        if child.type == "object_property" and len(child.named_children) >= 2:
            key, value = child.named_children[0], child.named_children[-1]
            name = literal(key) if key.type == "string" else text(key)
            yield (text(key) if name is None else name), key, value


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it."""
    yield node
    for child in node.children:
        yield from walk(child)


def line_at(node: Node, path: tuple[str | int, ...]) -> int:
    """The line of the property that a path of names and indexes leads to, or as near as the source goes."""
    line = line_of(node)
    for step in path:
        found = None
        if node.type == "object":
            found = next(((key, child) for name, key, child in properties(node) if name == step), None)
        elif node.type == "array" and isinstance(step, int) and step < len(node.named_children):
            found = (node.named_children[step], node.named_children[step])
        elif node.type == "call_expression":
            found = next(
                (
                    (key, child)
                    for argument in node.named_children[1].named_children
                    for name, key, child in properties(argument)
                    if name == step
                ),
                None,
            )
        if found is None:
            break
        line, node = line_of(found[0]), found[1]
    return line


def loop_of(node: Node) -> Loop:
    """The head of a `for`."""
    head, items = node.named_children[0], node.named_children[1]
    names = [text(each) for each in (head.named_children if head.type == "for_loop_parameters" else [head])]
    return Loop(names[0], names[1] if len(names) > 1 else "", items)


def _declaration(node: Node, decorators: dict[str, Node]) -> Declaration:
    kind = _KINDS[node.type]
    name, *rest = node.named_children
    declared = ""
    if kind in ("param", "output") and rest and rest[0].type == "type":
        declared = text(rest.pop(0))
    elif kind in ("resource", "module") and rest:
        declared = literal(rest.pop(0)) or ""
    value = rest[-1] if rest else None
    loop = condition = None
    while value is not None and kind in ("resource", "module") and value.type in ("for_statement", "if_statement"):
        if value.type == "for_statement":
            loop = loop_of(value)
        else:
            condition = value.named_children[0]
        value = value.named_children[-1]
    existing = any(child.type == "existing" for child in node.children)
    return Declaration(kind, text(name), node, declared, value, loop, condition, existing, decorators)


def _decorators(node: Node) -> dict[str, Node]:
    """Name -> its first argument (or itself)."""
    found: dict[str, Node] = {}
    for decorator in node.named_children:
        call = decorator.named_children[0]
        if call.type == "call_expression":
            arguments = call.named_children[1].named_children
            found[text(call.named_children[0])] = arguments[0] if arguments else call
    return found


def _syntax_findings(path: Path, root: Node) -> list[Finding]:
    findings = []
    for node in walk(root):
        if node.type == "ERROR":
            near = text(node).strip().split("\n")[0][:40]
            message = f"syntax error, or a part of Bicep that this checker does not read, near {near!r}"
            findings.append(Finding(path, line_of(node), message))
        elif node.is_missing:
            findings.append(Finding(path, line_of(node), f"syntax error: {node.type} is missing"))
        elif node.type in _NOT_USED:
            findings.append(Finding(path, line_of(node), f"we do without {_NOT_USED[node.type]}; write it out"))
    return findings
