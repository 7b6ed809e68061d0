"""One client's connection: a bounded queue of records and the task that writes them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque

from aiohttp import WSMsgType, web

from local.signalr import protocol

#: Bytes that may wait for one client; a client that reads too slowly to stay below it is cut off.
MAX_PENDING = 4 << 20
#: Bytes of waiting records that share a frame.
_FRAME = 64 << 10
#: Bytes that the kernel may hold for one client: left to itself it takes as much again as `MAX_PENDING`.
_SEND_BUFFER = 256 << 10


class Connection:
    """A connected client. `send` and `close` return at once; `write` does the work in a task of its own."""

    def __init__(
        self,
        connection_id: str,
        user: str | None,
        transport: asyncio.Transport | None,
        websocket: web.WebSocketResponse,
    ) -> None:
        self.id = connection_id
        self.user = user
        self.groups: set[str] = set()
        self._transport = transport
        self._websocket = websocket
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._awake = asyncio.Event()
        self.closing = False
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    def send(self, record: bytes) -> None:
        """Queue a record; cut the client off when its queue would outgrow `MAX_PENDING`."""
        if self.closing:
            return
        self._pending_bytes += len(record)
        if self._pending_bytes > MAX_PENDING:
            self.closing = True
            self._pending.clear()
            self._awake.set()
            if self._transport is not None:
                self._transport.abort()  # a close record would wait behind all that it does not read
            return
        self._pending.append(record)
        self._awake.set()

    def close(self, reason: str | None, *, allow_reconnect: bool) -> None:
        """Say goodbye after what is queued already, then hang up."""
        self.send(protocol.close(reason, allow_reconnect=allow_reconnect))
        self.closing = True

    async def write(self, ping_seconds: float) -> None:
        """Write what is queued, several records a frame, and a ping when nothing was for `ping_seconds`."""
        with contextlib.suppress(ConnectionError):  # the client is gone: whoever listens to it notices as well
            while not self.closing or self._pending:
                try:
                    async with asyncio.timeout(ping_seconds):
                        await self._awake.wait()
                except TimeoutError:
                    self.send(protocol.PING)
                self._awake.clear()
                while self._pending:
                    await self._websocket.send_frame(self._take_frame(), WSMsgType.TEXT)
            await self._websocket.close()

    def _take_frame(self) -> bytes:
        frame = [self._pending.popleft()]
        size = len(frame[0])
        while self._pending and size + len(self._pending[0]) <= _FRAME:
            frame.append(self._pending.popleft())
            size += len(frame[-1])
        self._pending_bytes -= size
        return b"".join(frame)
