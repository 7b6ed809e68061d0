"""AMQP frames and performatives: what goes over a connection. Source: OASIS AMQP 1.0 part 2, "Transport"."""

from __future__ import annotations

import struct
from typing import Any

from local.servicebus import codec
from local.servicebus.codec import NULL, boolean, described, list_of, map_of, string, symbol, uint, ushort

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"
HEADER_BYTES = 8
#: What this side accepts in one frame; larger messages come in several.
MAX_FRAME_BYTES = 65_536
MIN_FRAME_BYTES = 512  # AMQP 2.7.1

OPEN, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE = range(0x10, 0x19)
SASL_MECHANISMS, SASL_INIT, SASL_OUTCOME = 0x40, 0x41, 0x44
RECEIVED, ACCEPTED, REJECTED, RELEASED, MODIFIED = range(0x23, 0x28)

ACCEPTED_STATE = described(ACCEPTED, b"\x45")
RELEASED_STATE = described(RELEASED, b"\x45")
#: A performative's number of fields; a sender may leave out trailing ones.
_FIELDS = {
    OPEN: 10,
    BEGIN: 8,
    ATTACH: 14,
    FLOW: 11,
    TRANSFER: 11,
    DISPOSITION: 6,
    DETACH: 3,
    END: 1,
    CLOSE: 1,
    SASL_INIT: 3,
}
_HEADER = struct.Struct(">IBBH")


class FramingError(codec.DecodeError):
    """The bytes do not form a frame, or one larger than was agreed."""


def find_frame(data: bytes, position: int) -> tuple[int, int, int] | None:
    """The frame at `position` as (channel, start of its body, end); None if it is not there in whole.

    Raises FramingError.
    """
    if position + HEADER_BYTES > len(data):
        return None
    size, offset, _, channel = _HEADER.unpack_from(data, position)
    if not HEADER_BYTES <= offset * 4 <= size <= MAX_FRAME_BYTES:
        raise FramingError(f"a frame of {size} bytes; allowed are {HEADER_BYTES} to {MAX_FRAME_BYTES}")
    end = position + size
    return (channel, position + offset * 4, end) if end <= len(data) else None


def performative(body: bytes) -> tuple[int, list[Any], int]:
    """A frame body's performative code, its fields (all of them, null where left out) and where the payload starts."""
    value, position = codec.decode(body)
    if not isinstance(value, codec.Described) or value.descriptor not in _FIELDS or not isinstance(value.value, list):
        raise codec.DecodeError("a frame holds no known performative")
    missing = _FIELDS[value.descriptor] - len(value.value)
    return value.descriptor, value.value + [None] * missing, position


def frame(channel: int, code: int, fields: list[bytes], payload: bytes = b"", frame_type: int = 0) -> bytes:
    body = described(code, list_of(fields))
    return _HEADER.pack(HEADER_BYTES + len(body) + len(payload), 2, frame_type, channel) + body + payload


def error_of(condition: str, text: str) -> bytes:
    """An error with an info map that is never empty: azure-servicebus 7.15 hangs on one that is missing."""
    info = map_of([symbol("com.microsoft:description"), string(text)])
    return described(0x1D, list_of([symbol(condition), string(text), info]))


def rejected(condition: str, text: str) -> bytes:
    return described(REJECTED, list_of([error_of(condition, text)]))


def sasl_mechanisms(names: list[str]) -> bytes:
    mechanisms = codec.array_of(0xB3, [b"\xb3" + len(name).to_bytes(4, "big") + name.encode() for name in names])
    return frame(0, SASL_MECHANISMS, [mechanisms], frame_type=1)


def sasl_outcome(code: int) -> bytes:
    return frame(0, SASL_OUTCOME, [codec.ubyte(code)], frame_type=1)


def open_(container: str, channel_max: int) -> bytes:
    return frame(0, OPEN, [string(container), NULL, uint(MAX_FRAME_BYTES), ushort(channel_max)])


def begin(channel: int, *, next_outgoing_id: int, window: int, handle_max: int) -> bytes:
    return frame(
        channel, BEGIN, [ushort(channel), uint(next_outgoing_id), uint(window), uint(window), uint(handle_max)]
    )


def detach(channel: int, handle: int, error: bytes = NULL) -> bytes:
    return frame(channel, DETACH, [uint(handle), boolean(True), error])


def end(channel: int, error: bytes = NULL) -> bytes:
    return frame(channel, END, [error])


def close(error: bytes = NULL) -> bytes:
    return frame(0, CLOSE, [error])


def disposition(channel: int, *, from_receiver: bool, delivery_id: int, state: bytes) -> bytes:
    """Settle one delivery with `state`."""
    return frame(
        channel, DISPOSITION, [boolean(from_receiver), uint(delivery_id), uint(delivery_id), boolean(True), state]
    )


def transfers(
    channel: int, *, handle: int, delivery_id: int, tag: bytes, settled: bool, message: bytes, max_frame: int
) -> list[bytes]:
    """One message as as many transfer frames as `max_frame` asks for."""
    first = [uint(handle), uint(delivery_id), codec.binary(tag), uint(0), boolean(settled)]
    room = max_frame - 64  # a transfer without its payload stays below that: tag 32, handle, id and flags
    if len(message) <= room:
        return [frame(channel, TRANSFER, [*first, boolean(False)], message)]
    parts = [message[start : start + room] for start in range(0, len(message), room)]
    return [
        frame(channel, TRANSFER, [*first, boolean(number < len(parts) - 1)], part) for number, part in enumerate(parts)
    ]
