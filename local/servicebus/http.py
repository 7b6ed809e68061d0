"""Just enough HTTP/1.1 for the admin API: requests with a body of known length, one after another."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, cast
from urllib.parse import parse_qsl, unquote, urlsplit

logger = logging.getLogger(__name__)

_MAX_HEAD_BYTES = 64 * 1024
_MAX_BODY_BYTES = 1024 * 1024


class Request(NamedTuple):
    """A request; header names are in lower case, the path is unquoted and without slashes around it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    """An answer; the body is XML."""

    status: HTTPStatus
    body: bytes = b""


class HttpConnection(asyncio.Protocol):
    """One client's socket: parse, call `answer`, reply. Anything malformed ends the connection with a 400."""

    _transport: asyncio.Transport

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            try:
                method, target, headers = _parse_head(head)
                length = int(headers.get("content-length", "0"))
            except ValueError:
                self._reply(Response(HTTPStatus.BAD_REQUEST), close=True)
                return
            if not 0 <= length <= _MAX_BODY_BYTES or "transfer-encoding" in headers:
                self._reply(Response(HTTPStatus.BAD_REQUEST), close=True)
                return
            if len(rest) < length:
                return
            self._received = rest[length:]
            url = urlsplit(target)
            request = Request(method, unquote(url.path).strip("/"), dict(parse_qsl(url.query)), headers, rest[:length])
            self._reply(self._respond(request), close=headers.get("connection", "").lower() == "close")
        if len(self._received) > _MAX_HEAD_BYTES + _MAX_BODY_BYTES:
            self._reply(Response(HTTPStatus.BAD_REQUEST), close=True)

    def _respond(self, request: Request) -> Response:
        try:
            return self._answer(request)
        except Exception:
            logger.exception("the admin API failed on %s /%s", request.method, request.path)
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR)

    def _reply(self, response: Response, *, close: bool) -> None:
        lines = [
            f"HTTP/1.1 {response.status.value} {response.status.phrase}",
            "Content-Type: application/atom+xml;type=entry;charset=utf-8",
            f"Content-Length: {len(response.body)}",
            f"Connection: {'close' if close else 'keep-alive'}",
        ]
        self._transport.write("\r\n".join(lines).encode() + b"\r\n\r\n" + response.body)
        if close:
            self._transport.close()


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    """Method, target and headers. Raises ValueError."""
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(version)
    pairs = (line.partition(":") for line in lines)
    return method, target, {name.strip().lower(): value.strip() for name, _, value in pairs}
