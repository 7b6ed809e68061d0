"""AMQP 1.0 types: decode any value, encode the ones that a broker sends.

Encoders return bytes and take already encoded parts, so that what a client sent can be passed on byte for byte.
Source: OASIS AMQP 1.0 part 1, "Types".
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

NULL = b"\x40"
TRUE = b"\x41"
FALSE = b"\x42"
_UINT32 = struct.Struct(">I")
_UINT64 = struct.Struct(">Q")
_INT32 = struct.Struct(">i")
_INT64 = struct.Struct(">q")


class DecodeError(ValueError):
    """The bytes are not a valid AMQP value; the sender of them is at fault."""


class Described(NamedTuple):
    """A value with its descriptor: a performative, an outcome, a filter."""

    descriptor: Any
    value: Any


Reader = Callable[[bytes, int], tuple[Any, int]]


def decode(data: bytes, position: int = 0) -> tuple[Any, int]:
    """The value at `position` and the position after it.

    Symbols and strings both become str, timestamps int (ms since the epoch), arrays and lists list.
    Raises DecodeError.
    """
    try:
        return _READERS[data[position]](data, position + 1)
    except (IndexError, KeyError, struct.error, ValueError, TypeError, RecursionError) as error:
        raise DecodeError(f"there is no AMQP value at byte {position}: {error!r}") from error


def skip(data: bytes, position: int) -> int:
    """The position after the value at `position`, which is not looked into."""
    try:
        constructor = data[position]
        if constructor == 0:
            return skip(data, skip(data, position + 1))
        kind = constructor >> 4
        if kind in _FIXED_WIDTH:
            end = position + 1 + _FIXED_WIDTH[kind]
        elif kind in {0xA, 0xC, 0xE}:
            end = position + 2 + data[position + 1]
        elif kind in {0xB, 0xD, 0xF}:
            end = position + 5 + int(_UINT32.unpack_from(data, position + 1)[0])
        else:
            raise DecodeError(f"0x{constructor:02x} at byte {position} is not an AMQP constructor")
    except (IndexError, struct.error, RecursionError) as error:
        raise DecodeError(f"there is no AMQP value at byte {position}: {error!r}") from error
    if end > len(data):
        raise DecodeError(f"the AMQP value at byte {position} is cut off")
    return end


_FIXED_WIDTH = {0x4: 0, 0x5: 1, 0x6: 2, 0x7: 4, 0x8: 8, 0x9: 16}


def elements(data: bytes, position: int) -> list[bytes]:
    """The elements of the list or map at `position` (a map's as key, value, key, ...), each still encoded."""
    constructor = data[position]
    if constructor in {0x40, 0x45}:
        return []
    if constructor not in {0xC0, 0xC1, 0xD0, 0xD1}:
        raise DecodeError(f"0x{constructor:02x} at byte {position} is not a list or map")
    start, count = _compound(data, position + 1, small=constructor < 0xD0)
    parts = []
    for _ in range(count):
        end = skip(data, start)
        parts.append(data[start:end])
        start = end
    return parts


def _compound(data: bytes, position: int, *, small: bool) -> tuple[int, int]:
    """Where the elements of a list, map or array start, and how many there are."""
    if small:
        start, count = position + 2, data[position + 1]
    else:
        start, count = position + 8, int(_UINT32.unpack_from(data, position + 4)[0])
    if count > len(data):  # also an array of zero-width elements, which no legitimate peer sends in such numbers
        raise DecodeError(f"a compound value claims {count} elements in {len(data)} bytes")
    return start, count


def _constant(value: Any) -> Reader:
    return lambda _data, position: (value, position)


def _fixed(layout: str) -> Reader:
    packed = struct.Struct(">" + layout)
    size = packed.size
    return lambda data, position: (packed.unpack_from(data, position)[0], position + size)


def _uuid(data: bytes, position: int) -> tuple[Any, int]:
    return uuid.UUID(bytes=data[position : position + 16]), position + 16


def _variable(*, text: bool, small: bool) -> Reader:
    def read(data: bytes, position: int) -> tuple[Any, int]:
        if small:
            start = position + 1
            end = start + data[position]
        else:
            start = position + 4
            end = start + int(_UINT32.unpack_from(data, position)[0])
        if end > len(data):
            raise DecodeError(f"the text or binary at byte {position} is cut off")
        value = data[start:end]
        return (value.decode() if text else value), end

    return read


def _list(*, small: bool) -> Reader:
    def read(data: bytes, position: int) -> tuple[Any, int]:
        position, count = _compound(data, position, small=small)
        values = []
        for _ in range(count):
            value, position = _READERS[data[position]](data, position + 1)
            values.append(value)
        return values, position

    return read


def _map(*, small: bool) -> Reader:
    def read(data: bytes, position: int) -> tuple[Any, int]:
        position, count = _compound(data, position, small=small)
        if count % 2:
            raise DecodeError(f"the map before byte {position} has a key without a value")
        pairs = {}
        for _ in range(count // 2):
            key, position = _READERS[data[position]](data, position + 1)
            pairs[key], position = _READERS[data[position]](data, position + 1)
        return pairs, position

    return read


def _array(*, small: bool) -> Reader:
    def read(data: bytes, position: int) -> tuple[Any, int]:
        position, count = _compound(data, position, small=small)
        descriptor = None
        constructor = data[position]
        described = constructor == 0
        if described:
            descriptor, position = decode(data, position + 1)
            constructor = data[position]
        position += 1
        values = []
        for _ in range(count):
            value, position = _READERS[constructor](data, position)
            values.append(Described(descriptor, value) if described else value)
        return values, position

    return read


def _described(data: bytes, position: int) -> tuple[Any, int]:
    descriptor, position = _READERS[data[position]](data, position + 1)
    value, position = _READERS[data[position]](data, position + 1)
    return Described(descriptor, value), position


_READERS: dict[int, Reader] = {
    0x00: _described,
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(0),
    0x44: _constant(0),
    0x45: lambda _data, position: ([], position),
    0x50: _fixed("B"),
    0x51: _fixed("b"),
    0x52: _fixed("B"),
    0x53: _fixed("B"),
    0x54: _fixed("b"),
    0x55: _fixed("b"),
    0x56: _fixed("?"),
    0x60: _fixed("H"),
    0x61: _fixed("h"),
    0x70: _fixed("I"),
    0x71: _fixed("i"),
    0x72: _fixed("f"),
    0x73: _fixed("4s"),  # char and the decimals: a broker passes them on unread
    0x74: _fixed("4s"),
    0x80: _fixed("Q"),
    0x81: _fixed("q"),
    0x82: _fixed("d"),
    0x83: _fixed("q"),
    0x84: _fixed("8s"),
    0x94: _fixed("16s"),
    0x98: _uuid,
    0xA0: _variable(text=False, small=True),
    0xA1: _variable(text=True, small=True),
    0xA3: _variable(text=True, small=True),
    0xB0: _variable(text=False, small=False),
    0xB1: _variable(text=True, small=False),
    0xB3: _variable(text=True, small=False),
    0xC0: _list(small=True),
    0xC1: _map(small=True),
    0xD0: _list(small=False),
    0xD1: _map(small=False),
    0xE0: _array(small=True),
    0xF0: _array(small=False),
}


def boolean(value: bool | None) -> bytes:
    return NULL if value is None else TRUE if value else FALSE


def ubyte(value: int | None) -> bytes:
    return NULL if value is None else bytes((0x50, value))


def uint(value: int | None) -> bytes:
    if value is None:
        return NULL
    if value == 0:
        return b"\x43"
    return bytes((0x52, value)) if value < 256 else b"\x70" + _UINT32.pack(value)


def ulong(value: int) -> bytes:
    return bytes((0x53, value)) if value < 256 else b"\x80" + _UINT64.pack(value)


def ushort(value: int) -> bytes:
    return b"\x60" + value.to_bytes(2, "big")


def int32(value: int) -> bytes:
    return b"\x71" + _INT32.pack(value)


def long(value: int) -> bytes:
    return b"\x81" + _INT64.pack(value)


def timestamp(seconds: float) -> bytes:
    """A moment given in seconds since the epoch."""
    return b"\x83" + _INT64.pack(int(seconds * 1000))


def uuid_bytes(value: bytes) -> bytes:
    """A uuid given as its 16 bytes, big endian."""
    return b"\x98" + value


def _sized(small: int, large: int, value: bytes) -> bytes:
    size = len(value)
    return bytes((small, size)) + value if size < 256 else bytes((large,)) + _UINT32.pack(size) + value


def binary(value: bytes) -> bytes:
    return _sized(0xA0, 0xB0, value)


def string(value: str | None) -> bytes:
    return NULL if value is None else _sized(0xA1, 0xB1, value.encode())


def symbol(value: str) -> bytes:
    return _sized(0xA3, 0xB3, value.encode())


def _compound_of(small: int, large: int, parts: list[bytes]) -> bytes:
    body = b"".join(parts)
    count, size = len(parts), len(body)
    if size < 255 and count < 256:
        return bytes((small, size + 1, count)) + body
    return bytes((large,)) + _UINT32.pack(size + 4) + _UINT32.pack(count) + body


def list_of(parts: list[bytes]) -> bytes:
    return _compound_of(0xC0, 0xD0, parts) if parts else b"\x45"


def map_of(parts: list[bytes]) -> bytes:
    """A map of `parts` key, value, key, ..."""
    return _compound_of(0xC1, 0xD1, parts)


def array_of(constructor: int, items: Iterable[bytes]) -> bytes:
    """An array of values encoded with one full-width `constructor`, which each item still carries."""
    bare = [item[1:] for item in items]
    body = bytes((constructor,)) + b"".join(bare)
    return b"\xf0" + _UINT32.pack(len(body) + 4) + _UINT32.pack(len(bare)) + body


def described(code: int, value: bytes) -> bytes:
    return bytes((0x00, 0x53, code)) + value
