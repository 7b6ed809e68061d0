"""Messages and dead letters that a queue passes on to another one."""

from __future__ import annotations

import datetime as dt

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import ServiceBusError

from tests.contract.servicebus.conftest import MakeQueue
from tests.contract.servicebus.sdk import Sdk, nothing_comes, take


async def test_dead_letters_are_forwarded(async_sdk: Sdk, make_queue: MakeQueue) -> None:
    dead = make_queue(default_message_time_to_live=dt.timedelta(days=14))
    queue = make_queue(forward_dead_lettered_messages_to=dead, max_delivery_count=1)
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("told"))
        await sender.send_messages(ServiceBusMessage("exhausted", time_to_live=dt.timedelta(hours=1)))
        told, exhausted = await take(receiver, 2)
        await receiver.dead_letter_message(told, reason="Because")
        await receiver.abandon_message(exhausted)
    async with async_sdk.open(async_sdk.receiver(dead)) as (receiver,):
        letters = await take(receiver, 2)
        for letter in letters:
            await receiver.complete_message(letter)
    assert [(str(letter), letter.dead_letter_reason) for letter in letters] == [
        ("told", "Because"),
        ("exhausted", "MaxDeliveryCountExceeded"),
    ]
    for letter in letters:
        assert letter.dead_letter_source == queue
        assert letter.delivery_count == 0
        assert letter.time_to_live == dt.timedelta(days=14)
    async with async_sdk.open(async_sdk.receiver(queue, sub_queue=ServiceBusSubQueue.DEAD_LETTER)) as (receiver,):
        assert await nothing_comes(receiver)


async def test_messages_are_forwarded_when_they_arrive_or_are_due(async_sdk: Sdk, make_queue: MakeQueue) -> None:
    last = make_queue()
    middle = make_queue(forward_to=last)
    first = make_queue(forward_to=middle)
    async with async_sdk.open(async_sdk.sender(first), async_sdk.receiver(last)) as (sender, receiver):
        due = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=0.5)
        await sender.send_messages(ServiceBusMessage("scheduled", scheduled_enqueue_time_utc=due))
        await sender.send_messages(ServiceBusMessage("at once"))
        assert [str(message) for message in await take(receiver, 2)] == ["at once", "scheduled"]
    with pytest.raises(ServiceBusError, match="receive there"):
        async with async_sdk.open(async_sdk.receiver(first)):
            pass
