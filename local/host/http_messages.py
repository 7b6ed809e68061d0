"""HTTP requests as functions see them, and function results as HTTP responses, with the losses of the real RPC seam.

Sources: Azure/azure-functions-host, GrpcMessageConversionExtensions.ToRpcHttp, HttpBinding and RawScriptResult;
Microsoft's worker for the encoding of results and cookies.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from http.cookies import Morsel
from typing import Any
from urllib.parse import parse_qsl, quote

import azure.functions.http as func_http
from aiohttp import web

from local.host.indexing import Function, converter
from local.host.invoke import Outcome

_PLAIN_TEXT = "text/plain; charset=utf-8"
#: Written by the server itself; the real host drops a function's own value of these too.
_SERVER_HEADERS = frozenset({"server", "date", "content-length", "transfer-encoding", "connection", "keep-alive"})
logger = logging.getLogger("Host.Http")


def joined_headers(request: web.BaseRequest) -> dict[str, str]:
    """Names in lower case, repeated headers joined with a comma."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        lower = name.lower()
        headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    return headers


def joined_query(text: str) -> dict[str, str]:
    """Repeated keys joined with a comma; keys whose value is empty are dropped."""
    query: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    return {name: value for name, value in query.items() if value}


def function_request(
    request: web.BaseRequest, headers: Mapping[str, str], route: Mapping[str, str], body: bytes
) -> func_http.HttpRequest:
    """The func.HttpRequest for `request`, of the class that Microsoft's worker hands out."""
    path, _, query = request.raw_path.partition("?")
    url = f"{request.scheme}://{request.host}{path}" + (f"?{query}" if query else "")
    return func_http.HttpRequest(
        method=request.method,
        url=url,
        headers=headers,
        params=joined_query(query),
        route_params=route,
        body_type="bytes",
        body=body,
    )


def request_from_input(url: str, text: str) -> func_http.HttpRequest:
    """The request that stands for a call through the host APIs: `text` is its body."""
    return func_http.HttpRequest(
        method="POST", url=url, headers={}, params={}, route_params={}, body_type="bytes", body=text.encode()
    )


def function_response(function: Function, outcome: Outcome) -> web.Response:
    """The response that `outcome` gives: 500 with an empty body for an error, also for a result that cannot be sent."""
    if outcome.error is not None:
        return web.Response(status=500)
    try:
        return _encode(function, outcome)
    except Exception as error:  # noqa: BLE001 - whatever the function returned, the caller gets an answer
        logger.error("Function '%s' returned what cannot be sent: %s", function.name, error)
        return web.Response(status=500)


def _encode(function: Function, outcome: Outcome) -> web.Response:
    if function.returns is not None and function.returns.binding == "http":
        value = outcome.result
    else:
        name = next((name for name, bound in function.outputs.items() if bound.binding == "http"), None)
        value = (outcome.outputs or {}).get(name) if name else None
        if value is None:
            return web.Response()
    try:
        datum = converter("http").encode(value, expected_type=None)
    except NotImplementedError:
        raise TypeError(
            f'unable to encode outgoing TypedData: unsupported type "http" for Python type "{type(value).__name__}"'
        ) from None
    if datum.type == "string":
        return web.Response(body=datum.value.encode(), headers={"Content-Type": _PLAIN_TEXT})
    content = datum.value
    response = web.Response(status=_status(content["status_code"].value), body=content["body"].value)
    for header, value in content["headers"].items():
        if header.lower() in _SERVER_HEADERS:
            logger.debug("The header %s of function '%s' was dropped: the server writes it.", header, function.name)
        else:
            response.headers[header] = value.value
    for cookie in content["cookies"] or ():
        for morsel in cookie.values():
            response.headers.add("Set-Cookie", _set_cookie(morsel))
    return response


def _status(text: str) -> int:
    try:
        status = int(text)
    except ValueError:
        return 200
    return status if 100 <= status <= 999 else 200


def _set_cookie(morsel: Morsel[str]) -> str:
    """The cookie as ASP.NET writes it again: its own order, `domain` and `path` present even when empty."""
    parts = [f"{morsel.key}={quote(morsel.value, safe='')}"]
    if morsel["expires"]:
        try:
            expires = datetime.strptime(morsel["expires"], "%a, %d %b %Y %H:%M:%S GMT")  # noqa: DTZ007 - GMT in and out
        except ValueError:
            raise ValueError(
                f"Can not parse value {morsel['expires']} of expires in the cookie due to invalid format."
            ) from None
        parts.append(f"expires={expires:%a, %d %b %Y %H:%M:%S} GMT")
    if morsel["max-age"]:
        parts.append(f"max-age={int(float(morsel['max-age']))}")
    parts += [f"domain={morsel['domain']}", f"path={morsel['path']}"]
    if morsel["secure"]:
        parts.append("secure")
    if morsel["samesite"].lower() in {"lax", "strict", "none"}:
        parts.append(f"samesite={morsel['samesite'].lower()}")
    if morsel["httponly"]:
        parts.append("httponly")
    return "; ".join(parts)


def as_json(content: Any, status: int = 200) -> web.Response:
    """A JSON response of the host itself."""
    return web.json_response(content, status=status)
