"""Just enough HTTP/1.1 (RFC 9112) to pass messages on byte for byte: where a head and a body end, and no more."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

#: Longest head, in bytes: the limit of the stream readers that `read_head` is given.
MAX_HEAD = 64 * 1024
_WITHOUT_BODY = frozenset({204, 304})


class Head(NamedTuple):
    """A start line and headers: as they came, and with header names in lower case."""

    raw: bytes
    start: list[str]
    headers: dict[str, str]

    @property
    def method(self) -> str:
        """Of a request."""
        return self.start[0]

    @property
    def target(self) -> str:
        """Of a request: path and query as they were sent."""
        return self.start[1]

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.start[1])

    @property
    def closes(self) -> bool:
        """Whether the sender ends the connection after this message."""
        return self.headers.get("connection", "").lower() == "close"


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None where the connection ended before it. Raises ValueError for what is not HTTP."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise ValueError(f"a head of more than {MAX_HEAD} bytes") from error
    first, *lines = raw.decode("latin-1").split("\r\n")[:-2]
    start = first.split(" ", 2)
    if len(start) < 2:
        raise ValueError(f"not HTTP: {first[:80]!r}")
    pairs = (line.partition(":") for line in lines)
    return Head(raw, start, {name.strip().lower(): value.strip() for name, _, value in pairs})


async def read_request_body(reader: asyncio.StreamReader, head: Head) -> bytes:
    """A request's body with its framing. Raises IncompleteReadError where the connection ends within it."""
    if head.headers.get("transfer-encoding", "").lower() == "chunked":
        return await _read_chunks(reader)
    return await reader.readexactly(int(head.headers.get("content-length", "0")))


async def read_answer_body(reader: asyncio.StreamReader, head: Head, method: str) -> bytes:
    """An answer's body with its framing, up to the end of the connection where nothing else bounds it."""
    if method == "HEAD" or head.status in _WITHOUT_BODY:
        return b""
    if "content-length" in head.headers or "transfer-encoding" in head.headers:
        return await read_request_body(reader, head)
    return await reader.read(-1)


def answer(status: int, body: bytes, headers: dict[str, str]) -> bytes:
    """A whole answer with a body of known length."""
    lines = [f"HTTP/1.1 {status} Fault", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while True:
        line = await reader.readuntil(b"\r\n")
        parts.append(line)
        size = int(line.split(b";")[0], 16)
        if size == 0:
            break
        parts.append(await reader.readexactly(size + 2))
    while parts[-1] != b"\r\n":  # trailers, up to an empty line
        parts.append(await reader.readuntil(b"\r\n"))
    return b"".join(parts)
