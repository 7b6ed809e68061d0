"""A bare AMQP client for what the SDK does not do, or does not show."""

from __future__ import annotations

import select
import socket
import time
from types import TracebackType
from typing import Any

from azure.servicebus._pyamqp.utils import generate_sas_token

from local.servicebus import codec, frames
from local.servicebus import message as wire
from tests.contract.servicebus.sdk import KEY, SOON

CHANNEL = 0


class RawClient:
    """One connection with one session; frames go out as they are told and come in one at a time."""

    def __init__(
        self, port: int, *, max_frame: int = 65_536, window: int = 1000, idle_timeout_ms: int | None = None
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=SOON)
        self._host = f"127.0.0.1:{port}"
        self._window = window
        self._socket.sendall(frames.AMQP_HEADER)
        assert self._read(8) == frames.AMQP_HEADER
        fields = [codec.string("raw"), codec.NULL, codec.uint(max_frame), codec.NULL, codec.uint(idle_timeout_ms)]
        self.send(frames.OPEN, fields)
        self.expect(frames.OPEN)
        self.send(frames.BEGIN, [codec.NULL, codec.uint(0), codec.uint(window), codec.uint(1000)])
        self.expect(frames.BEGIN)

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, code: int, fields: list[bytes], payload: bytes = b"") -> None:
        self._socket.sendall(frames.frame(CHANNEL, code, fields, payload))

    def receive(self) -> tuple[int | None, list[Any], bytes]:
        """The next frame as (performative, fields, payload); None for a heartbeat."""
        size = int.from_bytes(head := self._read(4), "big")
        data = head + self._read(size - 4)
        if size == frames.HEADER_BYTES:
            return None, [], b""
        body = data[frames.HEADER_BYTES :]
        code, fields, start = frames.performative(body)
        return code, fields, body[start:]

    def expect(self, code: int) -> tuple[list[Any], bytes]:
        """The next frame of that kind; heartbeats and credit for what this client sends are passed over."""
        while True:
            got, fields, payload = self.receive()
            if got == code:
                return fields, payload
            assert got in {None, frames.FLOW}, f"expected 0x{code:02x}, got 0x{got:02x} {fields}"

    def attach(self, handle: int, address: str, *, receives: bool) -> None:
        """Ask for a link; its name is the handle."""
        near = codec.described(0x28 if not receives else 0x29, codec.list_of([codec.string(f"raw-{handle}")]))
        far = codec.described(0x28 if receives else 0x29, codec.list_of([codec.string(address)]))
        source, target = (far, near) if receives else (near, far)
        fields = [
            codec.string(str(handle)),
            codec.uint(handle),
            codec.boolean(receives),
            codec.ubyte(0),
            codec.ubyte(1),
        ]
        self.send(frames.ATTACH, [*fields, source, target, codec.NULL, codec.NULL, codec.uint(0)])
        self.expect(frames.ATTACH)

    def authenticate(self, queue: str) -> None:
        """Put a token for the queue; handles 1 and 2 are used up."""
        audience = f"sb://{self._host}/{queue}"
        token = generate_sas_token(audience, "RootManageSharedAccessKey", KEY, time.time() + 600)  # type: ignore[no-untyped-call]
        self.attach(1, "$cbs", receives=True)
        self.attach(2, "$cbs", receives=False)
        self.request(2, 0, "put-token", codec.string(token), name=codec.string(audience))
        self.expect(frames.DISPOSITION)
        _, reply = self.expect(frames.TRANSFER)
        assert b"Accepted" in reply

    def request(self, handle: int, delivery_id: int, operation: str, body: bytes, **properties: bytes) -> None:
        """Send a management request."""
        pairs = {"operation": codec.string(operation), **properties}
        parts = [part for name, value in pairs.items() for part in (codec.string(name), value)]
        message = b"".join(
            (
                codec.described(wire.PROPERTIES, codec.list_of([codec.ulong(delivery_id)])),
                codec.described(wire.APPLICATION_PROPERTIES, codec.map_of(parts)),
                codec.described(wire.VALUE, body),
            )
        )
        self.send(frames.TRANSFER, [codec.uint(handle), codec.uint(delivery_id), codec.binary(b"tag")], message)

    def flow(self, handle: int, credit: int, *, received: int = 0, drain: bool = False) -> None:
        """Grant credit on a link of which no delivery was counted yet; `received` counts transfer frames."""
        numbers = [received, self._window, 1, 1000, handle, 0, credit]
        self.send(frames.FLOW, [*map(codec.uint, numbers), codec.NULL, codec.boolean(drain)])

    def hears_nothing(self, seconds: float) -> bool:
        return not select.select([self._socket], [], [], seconds)[0]

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            assert part, "the emulator closed the connection"
            data += part
        return data
