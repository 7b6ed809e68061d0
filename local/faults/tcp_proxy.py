"""The proxy for any TCP service: pumps bytes, and drops, refuses, freezes or delays connections."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from enum import StrEnum

import msgspec

_CHUNK = 64 * 1024


class Freeze(StrEnum):
    """Which directions stand still while their connections stay open."""

    NONE = "none"
    #: From the client to the service.
    UP = "up"
    #: From the service to the client.
    DOWN = "down"
    BOTH = "both"


class Mode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How connections fare. `refuse` closes the listening port; what is open stays. The delay is per direction."""

    refuse: bool = False
    freeze: Freeze = Freeze.NONE
    delay_seconds: float = 0.0


class TcpProxy:
    """Serves connections under a mode that may change at any time."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.mode = Mode()
        self.counts: Counter[str] = Counter()
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = {Freeze.UP: asyncio.Event(), Freeze.DOWN: asyncio.Event()}
        self.set_mode(Mode())

    def set_mode(self, mode: Mode) -> None:
        """Change how connections fare, open ones included. `refuse` is the listener's business."""
        self.mode = mode
        for direction, flowing in self._flowing.items():
            if mode.freeze in {direction, Freeze.BOTH}:
                flowing.clear()
            else:
                flowing.set()
        if mode != Mode():
            self.counts.update({"refuse": int(mode.refuse), "freeze": int(mode.freeze is not Freeze.NONE)})

    def drop_all(self) -> int:
        """Reset every connection now; how many there were."""
        for writer in self._writers:
            _reset(writer)
        dropped = len(self._writers) // 2
        self.counts["drop"] += dropped
        return dropped

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection, to its end."""
        try:
            up_reader, up_writer = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        both = {writer, up_writer}
        self._writers |= both
        pumps = [
            asyncio.create_task(self._pump(reader, up_writer, Freeze.UP)),
            asyncio.create_task(self._pump(up_reader, writer, Freeze.DOWN)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            self._writers -= both
            for each in both:
                each.close()
            for each in both:
                with contextlib.suppress(OSError):
                    await each.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Freeze) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                if self.mode.delay_seconds:
                    await asyncio.sleep(self.mode.delay_seconds)
                await self._flowing[direction].wait()
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close at once with an RST, not an orderly FIN (socket(7), SO_LINGER)."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
