"""Taps between the app and the local services: everything passes unchanged, and what passes is counted."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Awaitable, Callable

from local.faults.http1 import MAX_HEAD, read_answer_body, read_head, read_request_body

Operation = tuple[str, str]
#: Performatives (AMQP 1.0, 2.7) that stand for something the broker charges.
_PERFORMATIVES = {0x14: "transfer", 0x15: "disposition"}
_PROTOCOL_HEADER = 8

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Wiretap:
    """Taps in a thread of their own, until `close`. `counts` holds how often each operation of a service was seen."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def http(self, service: str, target: int) -> int:
        """Tap an HTTP service on a port; the port to use in its place. Counts method and path, without keys and ids."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream, upstream_writer = await asyncio.open_connection("127.0.0.1", target, limit=MAX_HEAD)
            try:
                while (request := await read_head(reader)) is not None:
                    body = await read_request_body(reader, request)
                    if upstream.at_eof():  # the service closes what is idle for a while
                        upstream_writer.close()
                        upstream, upstream_writer = await asyncio.open_connection("127.0.0.1", target, limit=MAX_HEAD)
                    upstream_writer.write(request.raw + body)
                    answer = await read_head(upstream)
                    if answer is None:
                        return
                    writer.write(answer.raw + await read_answer_body(upstream, answer, request.method))
                    await writer.drain()
                    place = request.target.split("?")[0].split("(")[0]
                    self.counts[service, request.method, place] += 1
            finally:
                upstream_writer.close()
                writer.close()

        return self._listen(serve)

    def amqp(self, service: str, target: int) -> int:
        """Tap an AMQP service. Counts transfers and dispositions, by who sent them: `app` or `broker`."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            upstream, upstream_writer = await asyncio.open_connection("127.0.0.1", target)
            pumps = (
                asyncio.create_task(self._pump(service, "app", reader, upstream_writer)),
                asyncio.create_task(self._pump(service, "broker", upstream, writer)),
            )
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()

        return self._listen(serve)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _listen(self, serve: Serve) -> int:
        async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer)

        async def start() -> int:
            server = await asyncio.start_server(quietly, "127.0.0.1", 0, limit=MAX_HEAD)
            return int(server.sockets[0].getsockname()[1])

        return asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)

    async def _pump(
        self, service: str, sender: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                head = await reader.readexactly(_PROTOCOL_HEADER)
                rest = b""
                if not head.startswith(b"AMQP"):
                    rest = await reader.readexactly(int.from_bytes(head[:4], "big") - _PROTOCOL_HEADER)
                    self._count_frame(service, sender, head[4], rest)
                writer.write(head + rest)
                await writer.drain()
        finally:
            writer.close()

    def _count_frame(self, service: str, sender: str, data_offset: int, rest: bytes) -> None:
        # A frame's body begins after `doff` words of 4 bytes: a described type, 0x00, then a small ulong, 0x53.
        body = rest[data_offset * 4 - _PROTOCOL_HEADER :]
        if body[:2] == b"\x00\x53" and body[2] in _PERFORMATIVES:
            self.counts[service, sender, _PERFORMATIVES[body[2]]] += 1
