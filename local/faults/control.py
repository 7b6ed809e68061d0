"""The control port: small JSON requests that rule a proxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from local.faults.http1 import answer, read_head, read_request_body

#: Answers a request (method, path, body). Raises msgspec.ValidationError and DecodeError for a body that is wrong, and
#: KeyError for a path that is not there.
Endpoint = Callable[[str, str, bytes], Awaitable[Any]]


class Control:
    """Serves `endpoint` over HTTP, one request a connection."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            head = await read_head(reader)
            if head is not None:
                body = await read_request_body(reader, head)
                status, value = await self._answer(head.method, head.target, body)
                headers = {"Content-Type": "application/json", "Connection": "close"}
                writer.write(answer(status, msgspec.json.encode(value), headers))
                await writer.drain()
        writer.close()

    async def _answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        try:
            return 200, await self._endpoint(method, path, body)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            return 400, {"error": str(error)}
        except KeyError:
            return 404, {"error": f"there is no {method} {path}; see `python -m local faults --help`"}
