"""`/api/docs`: the HTTP API as a page to read, made from the OpenAPI document. It needs no script and no other site."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import azure.functions as func

from functions.http import endpoint, query
from functions.openapi import document
from shared.composition import registry

blueprint = func.Blueprint()

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#dde1e7, #2d3541); --soft: light-dark(#586271, #a2adbc);
  --link: light-dark(#0f62c4, #7ab8ff); --ground: light-dark(#f0f2f5, #232933); }
body { font: 0.9375rem/1.5 system-ui, sans-serif; margin: 0 auto; padding: 1rem 1.25rem 4rem; max-width: 60rem;
  background: light-dark(#ffffff, #12151a); color: light-dark(#1b2027, #e7eaef); }
a { color: var(--link); }
h2 { margin: 2.5rem 0 0; } h3 { margin: 2rem 0 0; font-size: 1.0625rem; overflow-wrap: anywhere; }
h4 { margin: 1rem 0 0.25rem; font-size: 0.875rem; color: var(--soft); }
code, pre { font: 0.8125rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
pre { background: var(--ground); padding: 0.75rem; border-radius: 6px; white-space: pre-wrap; }
pre, td + td { overflow-wrap: anywhere; } td:first-child { white-space: nowrap; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: 0.25rem 1rem 0.25rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; } td + td, dd { color: var(--soft); } ul { padding-left: 1.25rem; }
"""
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "Cache-Control": "no-cache",
}
#: What JSON Schema calls the bounds of a value, and how a reader does.
_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
    "minLength": "{} characters or more",
    "maxLength": "up to {} characters",
    "minItems": "{} items or more",
    "maxItems": "up to {} items",
    "pattern": "matches {}",
    "default": "default {}",
}


@blueprint.function_name("docs")
@blueprint.route("docs", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@endpoint
async def docs(req: func.HttpRequest) -> func.HttpResponse:
    """GET /api/docs"""
    query(req, ())
    return func.HttpResponse(_page(), mimetype="text/html", charset="utf-8", headers=dict(_HEADERS))


@functools.cache
def _page() -> str:
    contract = document(registry())
    info, schemas = contract["info"], contract["components"]["schemas"]
    operations = [
        (method, path, operation)
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
    ]
    contents = "".join(
        f'<li><a href="#{operation["operationId"]}">{escape(operation["summary"])}</a> '
        f"<code>{method.upper()} {escape(path)}</code></li>"
        for method, path, operation in operations
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>HTTP API · DTQ</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head><body><main><h1>{escape(info['title'])}: the HTTP API</h1>"
        f"<p>{escape(info['description'])} Version {escape(info['version'])}. For programs: "
        '<a href="openapi.json">the OpenAPI document</a>.</p>'
        "<p>Where the app asks for a function key, send it in the header <code>x-functions-key</code>. "
        "Errors are problem documents (RFC 9457) with a stable <code>code</code>: "
        f'{_reference("Problem")}.</p><h2 id="calls">Calls</h2><ul>{contents}</ul>'
        + "".join(_operation(method, path, operation) for method, path, operation in operations)
        + '<h2 id="schemas">Shapes</h2>'
        + "".join(_schema(name, schema) for name, schema in schemas.items())
        + "</main></body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    parameters = [
        (_code(each["name"]), each["in"], _type(each["schema"]) + (", required" if each.get("required") else ""))
        for each in operation.get("parameters", ())
    ]
    answers = [
        (_code(status), escape(answer["description"]), _content(answer))
        for status, answer in operation["responses"].items()
    ]
    body = operation.get("requestBody")
    return (
        f'<section><h3 id="{operation["operationId"]}">{escape(operation["summary"])}</h3>'
        f"<pre>{escape(_curl(method, path, operation))}</pre>"
        + (f"<h4>Parameters</h4>{_table(('name', 'in', 'value'), parameters)}" if parameters else "")
        + (f"<h4>Body</h4><p>{_content(body)}</p>" if body else "")
        + f"<h4>Answers</h4>{_table(('status', 'meaning', 'body'), answers)}</section>"
    )


def _curl(method: str, path: str, operation: Mapping[str, Any]) -> str:
    options = "" if method == "get" else f" -X {method.upper()}"
    if operation.get("security") != []:
        options += " -H 'x-functions-key: KEY'"
    if "requestBody" in operation:
        options += " -H 'content-type: application/json' -d @body.json"
    return f"curl{options} 'https://HOST{path}'"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    fields = [
        (_code(field), _type(value) + ("" if field in required else ", optional") + _described(value, "; {}"))
        for field, value in schema.get("properties", {}).items()
    ]
    shape = _table(("field", "value"), fields) if fields else f"<p>{_type(schema)}</p>"
    described = _described(schema, "<p>{}</p>")
    return f'<section><h3 id="schema-{escape(name)}">{escape(name)}</h3>{described}{shape}</section>'


def _described(schema: Mapping[str, Any], frame: str) -> str:
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(schema.get("description", "")))
    return frame.format(text) if text else ""


def _content(holder: Mapping[str, Any]) -> str:
    return ", ".join(_type(each["schema"]) for each in holder.get("content", {}).values())


def _type(schema: Mapping[str, Any]) -> str:
    """What values a schema allows, in words."""
    if reference := schema.get("$ref"):
        return _reference(reference.rsplit("/", 1)[1])
    if choices := schema.get("anyOf"):
        return " or ".join(_type(choice) for choice in choices)
    if values := schema.get("enum"):
        text = "one of " + ", ".join(_code(str(value)) for value in values)
    elif schema.get("type") == "array":
        text = f"list of {_type(schema['items'])}" if "items" in schema else "list"
    elif schema.get("type") == "object" and "properties" in schema:
        inner = (f"{_code(name)}: {_type(value)}" for name, value in schema["properties"].items())
        text = f"object with {', '.join(inner)}"
    else:
        text = escape(schema.get("format") or schema.get("type", "anything"))
    bounds = [words.format(_code(_value(schema[name]))) for name, words in _BOUNDS.items() if name in schema]
    return ", ".join([text, *bounds])


def _value(value: object) -> str:
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value)


def _reference(name: str) -> str:
    return f'<a href="#schema-{escape(name)}">{escape(name)}</a>'


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
