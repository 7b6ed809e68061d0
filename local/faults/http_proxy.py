"""The proxy for HTTP services: passes requests and answers on byte for byte, unless a rule says otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from local.faults.http1 import MAX_HEAD, Head, answer, read_answer_body, read_head, read_request_body
from local.faults.rules import Fault, Rule, Rules

logger = logging.getLogger("faults")

_JSON = {"Content-Type": "application/json"}


class HttpProxy:
    """Serves connections; each has a connection of its own to the service.

    Nothing is rewritten, the Host header least of all: Cosmos DB's clients follow addresses that the service builds
    from it.
    """

    def __init__(self, target: tuple[str, int], rules: Rules) -> None:
        self._target = target
        self._rules = rules

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, to its end."""
        connection = _Connection(self._target, self._rules, reader, writer)
        try:
            while await connection.exchange():
                pass
        except (OSError, ValueError, asyncio.IncompleteReadError) as error:
            logger.debug("a connection ended: %r", error)
        finally:
            await connection.close()


class _Connection:
    def __init__(
        self,
        target: tuple[str, int],
        rules: Rules,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._target = target
        self._rules = rules
        self._reader = reader
        self._writer = writer
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def exchange(self) -> bool:
        """One request and its answer; False when the connection is over."""
        request = await read_head(self._reader)
        if request is None:
            return False
        body = await read_request_body(self._reader, request)
        rule = self._rules.decide(request.method, request.target)
        if rule is None:
            return await self._forward(request, body)
        return await self._strike(rule, request, body)

    async def close(self) -> None:
        """Close both sides."""
        writers = [self._writer] + ([self._upstream[1]] if self._upstream else [])
        for writer in writers:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _strike(self, rule: Rule, request: Head, body: bytes) -> bool:
        match rule.fault:
            case Fault.ANSWER:
                self._writer.write(answer(rule.status, rule.body.encode(), {**_JSON, **rule.headers}))
                await self._writer.drain()
                return not request.closes
            case Fault.LOSE_ANSWER:
                await self._ask(request, body)
                return False
            case Fault.DROP:
                return False
            case Fault.DELAY:
                await asyncio.sleep(rule.seconds)
                return await self._forward(request, body)

    async def _forward(self, request: Head, body: bytes) -> bool:
        head, answered = await self._ask(request, body)
        self._writer.write(head.raw + answered)
        await self._writer.drain()
        return not (request.closes or head.closes)

    async def _ask(self, request: Head, body: bytes) -> tuple[Head, bytes]:
        """The service's answer. Raises OSError where it gives none."""
        if self._upstream is None or self._upstream[0].at_eof():
            self._upstream = await asyncio.open_connection(*self._target, limit=MAX_HEAD)
        reader, writer = self._upstream
        writer.write(request.raw + body)
        await writer.drain()
        head = await read_head(reader)
        if head is None:
            raise ConnectionResetError("the service closed the connection without an answer")
        return head, await read_answer_body(reader, head, request.method)
