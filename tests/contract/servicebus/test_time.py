"""Scheduled messages, time to live and the duplicate detection window."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageNotFoundError

from tests.contract.servicebus.conftest import MakeQueue
from tests.contract.servicebus.sdk import Sdk, nothing_comes, take

DEAD_LETTERS = ServiceBusSubQueue.DEAD_LETTER
SECOND = dt.timedelta(seconds=1)


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


async def test_scheduled_messages_come_when_they_are_due(sdk: Sdk, queue: str) -> None:
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        due = now() + SECOND
        numbers = await sender.schedule_messages([ServiceBusMessage("operation"), ServiceBusMessage("cancelled")], due)
        await sender.send_messages(ServiceBusMessage("annotation", scheduled_enqueue_time_utc=due))
        await sender.cancel_scheduled_messages(numbers[1])
        with pytest.raises(MessageNotFoundError):
            await sender.cancel_scheduled_messages(numbers[1])
        peeked = await receiver.peek_messages(10)
        assert {message.state for message in peeked} == {ServiceBusMessageState.SCHEDULED}
        messages = await take(receiver, 2)
        assert now() >= due
        for message in messages:
            await receiver.complete_message(message)
        assert await nothing_comes(receiver)
    assert numbers == [1, 2]
    for message in messages:
        assert message.state is ServiceBusMessageState.ACTIVE
        assert message.sequence_number > 3  # a new one, at the end of the queue
        assert abs(message.scheduled_enqueue_time_utc - due) < dt.timedelta(milliseconds=2)
        assert due <= message.enqueued_time_utc + dt.timedelta(milliseconds=2)
    assert {str(message) for message in messages} == {"operation", "annotation"}


async def test_a_scheduled_message_cannot_be_cancelled_once_it_is_active(async_sdk: Sdk, queue: str) -> None:
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        (number,) = await sender.schedule_messages(ServiceBusMessage("due"), now() + 0.1 * SECOND)
        await take(receiver)
        with pytest.raises(MessageNotFoundError):
            await sender.cancel_scheduled_messages(number)


async def test_an_expired_message_is_dead_lettered_soon(async_sdk: Sdk, make_queue: MakeQueue) -> None:
    queue = make_queue(dead_lettering_on_message_expiration=True)
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue, sub_queue=DEAD_LETTERS)) as (
        sender,
        receiver,
    ):
        await sender.send_messages(ServiceBusMessage("short", time_to_live=SECOND))
        (letter,) = await take(receiver)
        assert now() - letter.enqueued_time_utc >= SECOND
        assert now() - letter.enqueued_time_utc < 3 * SECOND
    assert letter.dead_letter_reason == "TTLExpiredException"
    assert letter.dead_letter_error_description == "The message expired and was dead lettered."


@pytest.mark.parametrize("own", [{}, {"time_to_live": dt.timedelta(hours=1)}], ids=["none", "longer"])
async def test_the_queue_caps_the_time_to_live(async_sdk: Sdk, make_queue: MakeQueue, own: dict[str, Any]) -> None:
    queue = make_queue(default_message_time_to_live=SECOND)
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("capped", **own))
        (peeked,) = await receiver.peek_messages(1)
        assert peeked.time_to_live == SECOND
        assert await receiver.receive_messages(1, max_wait_time=0.1) != []
    async with async_sdk.open(async_sdk.receiver(queue)) as (receiver,):
        assert await receiver.peek_messages(1, sequence_number=1) != []  # locked: it does not expire


async def test_duplicates_are_accepted_and_dropped(sdk: Sdk, make_queue: MakeQueue) -> None:
    queue = make_queue(requires_duplicate_detection=True)
    later = now() + dt.timedelta(hours=1)
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("first", message_id="a"))
        await sender.send_messages(
            [ServiceBusMessage("twin", message_id="a"), ServiceBusMessage("other", message_id="b")]
        )
        await sender.schedule_messages([ServiceBusMessage("twin", message_id="b")], later)
        await sender.schedule_messages([ServiceBusMessage("scheduled", message_id="c")], later)
        await sender.send_messages(ServiceBusMessage("twin of a scheduled one", message_id="c"))
        await sender.send_messages([ServiceBusMessage("without an id"), ServiceBusMessage("without an id")])
        bodies = [str(message) for message in await receiver.peek_messages(10)]
        assert bodies == ["first", "other", "scheduled", "without an id", "without an id"]
        (first,) = await take(receiver)
        await receiver.complete_message(first)
        await sender.send_messages(ServiceBusMessage("twin of a completed one", message_id="a"))
        assert len(await receiver.peek_messages(10, sequence_number=1)) == 4


async def test_the_duplicate_window_ends(async_sdk: Sdk, make_queue: MakeQueue) -> None:
    queue = make_queue(requires_duplicate_detection=True, duplicate_detection_history_time_window=SECOND)
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("first", message_id="a"))
        (first,) = await take(receiver)
        assert await receiver.receive_messages(1, max_wait_time=1.1) == []
        await sender.send_messages(ServiceBusMessage("second", message_id="a"))
        (second,) = await take(receiver)
    assert (str(first), str(second)) == ("first", "second")
