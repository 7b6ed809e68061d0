"""The wire format of a message: read what the broker acts on, write what it adds, pass the rest on byte for byte.

Source: OASIS AMQP 1.0 part 3, "Messaging", and the annotations that azure-servicebus 7.15 reads and writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from local.servicebus import codec
from local.servicebus.codec import DecodeError, described, list_of, map_of, string, symbol

HEADER, DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, PROPERTIES, APPLICATION_PROPERTIES, DATA = range(0x70, 0x76)
VALUE, FOOTER = 0x77, 0x78
#: A transfer's message-format that says: every data section is an encoded message of its own.
BATCH_FORMAT = 0x80013700
DEAD_LETTER_SOURCE = "x-opt-deadletter-source"
_MAPS = frozenset({DELIVERY_ANNOTATIONS, MESSAGE_ANNOTATIONS, APPLICATION_PROPERTIES})
_SCHEDULED = "x-opt-scheduled-enqueue-time"
#: What the broker writes itself; a message that was received and is sent again still carries the old values.
_OWN_ANNOTATIONS = frozenset(
    {
        "x-opt-sequence-number",
        "x-opt-enqueue-sequence-number",
        "x-opt-enqueued-time",
        "x-opt-locked-until",
        "x-opt-message-state",
        "x-opt-lock-token",
    }
)
_MAX_TTL_MS = 2**32 - 1  # header.ttl is a uint; the service's "unlimited" does not fit and is left out
_SEQUENCE_NUMBER = symbol("x-opt-sequence-number")
_ENQUEUE_SEQUENCE_NUMBER = symbol("x-opt-enqueue-sequence-number")
_ENQUEUED_TIME = symbol("x-opt-enqueued-time")
_LOCKED_UNTIL = symbol("x-opt-locked-until")
_STATE = symbol("x-opt-message-state")
_LOCK_TOKEN = symbol("x-opt-lock-token")


class Facts(NamedTuple):
    """What the broker needs to know of a message that arrives."""

    message_id: str | None
    ttl: float  # seconds; infinite where the message names none
    scheduled_at: float  # seconds since the epoch; 0 where it is due at once


class Delivery(NamedTuple):
    """What the broker adds to a message that it hands out. Times in seconds since the epoch."""

    sequence_number: int
    enqueue_sequence_number: int
    enqueued_at: float
    state: int
    delivery_count: int
    ttl: float
    lock_token: bytes | None  # uuid bytes in little endian, as the delivery tag carries them
    locked_until: float


def sections(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each section of a message as (code, start, start of its value, end). Raises DecodeError."""
    start = 0
    while start < len(data):
        if data[start] != 0:
            raise DecodeError(f"byte {start} of the message does not start a section")
        code, value = codec.decode(data, start + 1)
        if not isinstance(code, int) or not HEADER <= code <= FOOTER:
            raise DecodeError(f"a message has no section {code!r}")
        end = codec.skip(data, value)
        yield code, start, value, end
        start = end


def facts(data: bytes) -> Facts:
    """Read a message's id, time to live and scheduled time.

    Raises DecodeError for whatever `render` and `dead_lettered` could not work with later.
    """
    message_id, ttl, scheduled_at = None, math.inf, 0.0
    for code, _, value, _ in sections(data):
        if code == HEADER:
            header = _fields(data, value)
            if len(header) > 2 and isinstance(header[2], int):
                ttl = header[2] / 1000
        elif code == PROPERTIES:
            properties = codec.elements(data, value)
            if properties and properties[0] != codec.NULL:
                message_id = str(codec.decode(properties[0])[0])
        elif code in _MAPS:
            pairs, _ = codec.decode(data, value)
            if not isinstance(pairs, dict):
                raise DecodeError(f"section 0x{code:02x} of the message is not a map")
            if code == MESSAGE_ANNOTATIONS and isinstance(due := pairs.get(_SCHEDULED), int):
                scheduled_at = due / 1000
    return Facts(message_id, ttl, scheduled_at)


def batch(data: bytes) -> list[bytes]:
    """The messages inside a transfer of BATCH_FORMAT. Raises DecodeError."""
    messages = []
    for code, _, value, _ in sections(data):
        if code == DATA:
            inner, _ = codec.decode(data, value)
            if not isinstance(inner, bytes):
                raise DecodeError("a batch holds a data section that is not binary")
            messages.append(inner)
    return messages


def render(data: bytes, delivery: Delivery) -> bytes:
    """The message as a receiver gets it: the sender's sections with the broker's header and annotations."""
    durable = priority = codec.NULL
    annotations = [
        _SEQUENCE_NUMBER,
        codec.long(delivery.sequence_number),
        _ENQUEUE_SEQUENCE_NUMBER,
        codec.long(delivery.enqueue_sequence_number),
        _ENQUEUED_TIME,
        codec.timestamp(delivery.enqueued_at),
        _STATE,
        codec.int32(delivery.state),
    ]
    delivery_annotations = []
    if delivery.lock_token is not None:
        annotations += [_LOCKED_UNTIL, codec.timestamp(delivery.locked_until)]
        delivery_annotations += [_LOCK_TOKEN, codec.uuid_bytes(big_endian(delivery.lock_token))]
    bare = []
    for code, start, value, end in sections(data):
        if code == HEADER:
            durable, priority = ([*codec.elements(data, value), codec.NULL, codec.NULL])[:2]
        elif code == MESSAGE_ANNOTATIONS:
            annotations += _pairs_without(codec.elements(data, value), _OWN_ANNOTATIONS)
        elif code == DELIVERY_ANNOTATIONS:
            delivery_annotations += _pairs_without(codec.elements(data, value), _OWN_ANNOTATIONS)
        else:
            bare.append(data[start:end])
    ttl_ms = delivery.ttl * 1000
    ttl = codec.NULL if ttl_ms > _MAX_TTL_MS else codec.uint(int(ttl_ms))
    parts = [
        described(HEADER, list_of([durable, priority, ttl, codec.NULL, codec.uint(delivery.delivery_count)])),
        described(DELIVERY_ANNOTATIONS, map_of(delivery_annotations)) if delivery_annotations else b"",
        described(MESSAGE_ANNOTATIONS, map_of(annotations)),
        *bare,
    ]
    return b"".join(parts)


def dead_lettered(data: bytes, reason: str | None, description: str | None) -> bytes:
    """The message with `DeadLetterReason` and `DeadLetterErrorDescription` among its application properties."""
    added = {"DeadLetterReason": reason, "DeadLetterErrorDescription": description}
    pairs = [part for key, value in added.items() if value is not None for part in (string(key), string(value))]
    return _with_pairs(data, APPLICATION_PROPERTIES, pairs, replaced=frozenset(added)) if pairs else data


def forwarded_from(data: bytes, source: str) -> bytes:
    """The message with the annotation that names the queue which dead-lettered it."""
    pairs = [symbol(DEAD_LETTER_SOURCE), string(source)]
    return _with_pairs(data, MESSAGE_ANNOTATIONS, pairs, replaced=frozenset({DEAD_LETTER_SOURCE}))


def big_endian(token: bytes) -> bytes:
    """A uuid's bytes turned from little to big endian, or back."""
    return token[3::-1] + token[5:3:-1] + token[7:5:-1] + token[8:]


def _fields(data: bytes, position: int) -> list[Any]:
    value, _ = codec.decode(data, position)
    if not isinstance(value, list):
        raise DecodeError("a message's header is not a list")
    return value


def _pairs_without(parts: list[bytes], names: frozenset[str]) -> list[bytes]:
    kept = []
    for key, value in zip(parts[::2], parts[1::2], strict=True):
        if codec.decode(key)[0] not in names:
            kept += [key, value]
    return kept


def _with_pairs(data: bytes, section: int, pairs: list[bytes], *, replaced: frozenset[str]) -> bytes:
    """The message with `pairs` put into one of its map sections, which is added in its place if it is missing."""
    kept: list[bytes] = []
    before, after = [], []
    for code, start, value, end in sections(data):
        if code == section:
            kept = _pairs_without(codec.elements(data, value), replaced)
        elif code < section:
            before.append(data[start:end])
        else:
            after.append(data[start:end])
    return b"".join([*before, described(section, map_of(kept + pairs)), *after])
