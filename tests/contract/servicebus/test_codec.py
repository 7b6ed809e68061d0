"""The codec and the message format against the SDK's own, on generated values."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from azure.servicebus._pyamqp._decode import decode_payload
from azure.servicebus._pyamqp._encode import encode_payload
from azure.servicebus._pyamqp.message import Header, Message, Properties
from hypothesis import given
from hypothesis import strategies as st

from local.servicebus import codec
from local.servicebus import message as wire

simple = st.one_of(
    st.booleans(),
    st.integers(-(2**31), 2**31 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=300),
    st.binary(max_size=300),
    st.uuids(),
)
values = st.recursive(
    st.none() | simple,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


def sdk_encoded(**sections: Any) -> bytes:
    output = bytearray()
    encode_payload(output, Message(**sections))
    return bytes(output)


@given(value=values.filter(bool))  # the SDK leaves out what is false
def test_what_the_sdk_encodes_is_read(value: Any) -> None:
    data = sdk_encoded(value=value)
    ((code, start, position, end),) = wire.sections(data)
    assert (code, start, end) == (wire.VALUE, 0, len(data))
    assert codec.decode(data, position) == (value, end)
    assert codec.skip(data, position) == end


@given(
    properties=st.dictionaries(st.text(min_size=1, max_size=20), simple, max_size=5),
    body=st.lists(st.binary(max_size=400), min_size=1, max_size=3),
    reason=st.none() | st.text(max_size=300),
)
def test_the_sdk_reads_what_is_rendered(properties: dict[str, Any], body: list[bytes], reason: str | None) -> None:
    data = sdk_encoded(
        header=Header(priority=4, ttl=5000),
        properties=Properties(message_id="id", correlation_id="correlation"),
        application_properties=dict(properties) or None,
        message_annotations={b"x-opt-partition-key": "key"},
        data=body,
    )
    assert wire.facts(data) == ("id", 5.0, 0.0)
    delivery = wire.Delivery(7, 6, 12.5, 0, 3, 4.0, uuid.UUID(int=2).bytes_le, 99.0)
    message: Any = decode_payload(memoryview(wire.render(wire.dead_lettered(data, reason, None), delivery)))
    assert (message.header.priority, message.header.ttl, message.header.delivery_count) == (4, 4000, 3)
    assert message.delivery_annotations == {b"x-opt-lock-token": uuid.UUID(int=2)}
    assert message.message_annotations == {
        b"x-opt-sequence-number": 7,
        b"x-opt-enqueue-sequence-number": 6,
        b"x-opt-enqueued-time": 12_500,
        b"x-opt-message-state": 0,
        b"x-opt-locked-until": 99_000,
        b"x-opt-partition-key": b"key",
    }
    assert list(message.data) == body
    expected = {**properties, **({} if reason is None else {"DeadLetterReason": reason})}
    as_read = {key.encode(): value.encode() if isinstance(value, str) else value for key, value in expected.items()}
    assert (message.application_properties or {}) == as_read


@given(data=st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for read in (codec.decode, wire.facts, wire.batch):
        try:
            read(data)
        except codec.DecodeError:
            continue


@pytest.mark.parametrize("size", [0, 1, 254, 255, 256, 65_536])
def test_lengths_around_the_one_byte_limit(size: int) -> None:
    data = codec.binary(b"x" * size)
    assert codec.decode(data) == (b"x" * size, len(data))
    for data in (codec.string("x" * size), codec.symbol("x" * size)):
        assert codec.decode(data) == ("x" * size, len(data))
    for parts in ([codec.NULL] * size, [codec.binary(b"x" * size)]):
        data = codec.list_of(parts)
        assert codec.decode(data) == ([codec.decode(part)[0] for part in parts], len(data))
        assert codec.elements(data, 0) == parts
