"""Messages arrive as they were sent: bodies, properties, annotations, batches, sizes."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusReceiveMode
from azure.servicebus.amqp import AmqpAnnotatedMessage, AmqpMessageHeader, AmqpMessageProperties
from azure.servicebus.exceptions import MessageSizeExceededError

from tests.contract.servicebus.sdk import Sdk, nothing_comes, take

KIB = 1024
PROPERTIES = (
    *("message_id", "correlation_id", "content_type", "subject", "to", "reply_to", "reply_to_session_id"),
    *("session_id", "partition_key", "time_to_live"),
)
DELETE = ServiceBusReceiveMode.RECEIVE_AND_DELETE


async def test_a_message_is_sent_received_and_completed(sdk: Sdk, queue: str) -> None:
    before = dt.datetime.now(dt.UTC)
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("hello"))
        (message,) = await take(receiver)
        assert message._message.delivery_annotations[b"x-opt-lock-token"] == message.lock_token
        assert dt.timedelta(seconds=50) < message.locked_until_utc - before < dt.timedelta(seconds=70)
        await receiver.complete_message(message)
        assert await nothing_comes(receiver)
        assert await receiver.peek_messages(10, sequence_number=1) == []
    assert str(message) == "hello"
    assert (message.sequence_number, message.delivery_count) == (1, 0)
    assert abs(message.enqueued_time_utc - before) < dt.timedelta(seconds=5)


async def test_all_properties_survive(sdk: Sdk, queue: str) -> None:
    application_properties: dict[str | bytes, Any] = {
        "int": 1,
        "float": 1.5,
        "bool": True,
        "text": "grün",
        "uuid": uuid.UUID(int=7),
        "time": dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    }
    sent = ServiceBusMessage(
        "{}",
        application_properties=dict(application_properties),
        message_id="id-1",
        correlation_id="correlation",
        content_type="application/json",
        subject="subject",
        to="to",
        reply_to="reply-to",
        reply_to_session_id="reply-session",
        session_id="a session id is only a property here",
        partition_key="a session id is only a property here",
        time_to_live=dt.timedelta(minutes=7),
    )
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue, receive_mode=DELETE)) as (sender, receiver):
        await sender.send_messages(sent)
        (got,) = await take(receiver)
    for name in PROPERTIES:
        assert getattr(got, name) == getattr(sent, name), name
    properties = {key.decode(): value for key, value in got.application_properties.items()}
    assert properties == {**application_properties, "text": "grün".encode(), "time": 1_704_067_200_000}


@pytest.mark.parametrize(
    "body",
    [
        {"data_body": [b"one", b"two"]},
        {"value_body": {"key": [1, "two", None]}},
        {"sequence_body": [[1, 2], ["three"]]},
    ],
    ids=lambda body: next(iter(body)),
)
async def test_annotated_messages_survive_whole(async_sdk: Sdk, queue: str, body: dict[str, Any]) -> None:
    sent = AmqpAnnotatedMessage(
        **body,
        header=AmqpMessageHeader(priority=3, durable=True, delivery_count=17),
        properties=AmqpMessageProperties(message_id="annotated", user_id=b"someone"),
        annotations={"x-custom": "message", "x-opt-sequence-number": 4711},
        delivery_annotations={"y-custom": "delivery"},
        footer={"z-custom": "footer"},
    )
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(sent)
        batch = await sender.create_message_batch()
        batch.add_message(sent)
        await sender.send_messages(batch)
        for message in await take(receiver, 2):
            await receiver.complete_message(message)
            raw = message.raw_amqp_message
            assert (raw.header.priority, raw.header.durable, raw.header.delivery_count) == (3, True, 0)
            assert raw.properties.user_id == b"someone"
            assert raw.annotations[b"x-custom"] == b"message"
            assert raw.annotations[b"x-opt-sequence-number"] == message.sequence_number < 3
            assert raw.delivery_annotations[b"y-custom"] == b"delivery"
            assert raw.footer[b"z-custom"] == b"footer"
            body_of = list(raw.body) if raw.body_type.value != "value" else raw.body
            expected = {
                "data_body": [b"one", b"two"],
                "value_body": {b"key": [1, b"two", None]},
                "sequence_body": [[1, 2], [b"three"]],
            }
            assert body_of == expected[next(iter(body))]


async def test_a_list_and_a_batch_keep_their_order(async_sdk: Sdk, queue: str) -> None:
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue, prefetch_count=50)) as (
        sender,
        receiver,
    ):
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(60)])
        batch = await sender.create_message_batch()
        for number in range(60, 200):
            batch.add_message(ServiceBusMessage(str(number)))
        await sender.send_messages(batch)
        messages = await take(receiver, 200)
        for message in messages:
            await receiver.complete_message(message)
    assert [str(message) for message in messages] == [str(number) for number in range(200)]
    assert [message.sequence_number for message in messages] == list(range(1, 201))


async def test_a_body_that_looks_like_a_message_is_left_alone(async_sdk: Sdk, queue: str) -> None:
    inner = bytes.fromhex("005375a005") + b"inner"
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage(inner, subject="outer"))
        (message,) = await take(receiver)
    assert (b"".join(message.body), message.subject) == (inner, "outer")


async def test_250_kib_pass_and_256_kib_are_refused(sdk: Sdk, queue: str) -> None:
    large = "a" * 250 * KIB
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        with pytest.raises(MessageSizeExceededError, match="exceeds the limit"):
            await sender.send_messages(ServiceBusMessage("b" * 256 * KIB))
        await sender.send_messages(ServiceBusMessage(large))  # on the same link: the refusal has not harmed it
        (message,) = await take(receiver)
        await receiver.complete_message(message)
    assert str(message) == large


async def test_receive_and_delete_leaves_nothing(sdk: Sdk, queue: str) -> None:
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue, receive_mode=DELETE)) as (sender, receiver):
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(5)])
        assert [str(message) for message in await take(receiver, 5)] == list("01234")
        assert await receiver.peek_messages(5, sequence_number=1) == []


async def test_peek_shows_every_state_and_advances(async_sdk: Sdk, queue: str) -> None:
    due = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(
            [ServiceBusMessage("locked"), ServiceBusMessage("deferred"), ServiceBusMessage("active")]
        )
        await sender.schedule_messages(ServiceBusMessage("scheduled"), due)
        assert [str(message) for message in await receiver.peek_messages(2)] == ["locked", "deferred"]
        assert [str(message) for message in await receiver.peek_messages(2)] == ["active", "scheduled"]
        assert await receiver.peek_messages(2) == []
        _, deferred = await take(receiver, 2)
        await receiver.defer_message(deferred)
        peeked = await receiver.peek_messages(10, sequence_number=1)
    states = [(str(message), message.state.name) for message in peeked]
    assert states == [("locked", "ACTIVE"), ("deferred", "DEFERRED"), ("active", "ACTIVE"), ("scheduled", "SCHEDULED")]
    assert abs(peeked[3].scheduled_enqueue_time_utc - due) < dt.timedelta(milliseconds=2)


async def test_a_received_message_sent_again_starts_anew(async_sdk: Sdk, queue: str) -> None:
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("again", application_properties={"kept": 1}))
        (first,) = await take(receiver)
        await receiver.abandon_message(first)
        (second,) = await take(receiver)
        assert second.delivery_count == 1
        await sender.send_messages(second)
        await receiver.complete_message(second)
        (copy,) = await take(receiver)
    assert (copy.delivery_count, copy.sequence_number, str(copy)) == (0, 2, "again")
    assert copy.application_properties == {b"kept": 1}
