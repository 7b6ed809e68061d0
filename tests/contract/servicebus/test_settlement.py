"""What a receiver decides about a message, and what happens to its lock."""

from __future__ import annotations

import asyncio
import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from azure.servicebus import AutoLockRenewer, ServiceBusMessage, ServiceBusReceivedMessage, ServiceBusSubQueue
from azure.servicebus.exceptions import MessageLockLostError, MessageNotFoundError

from tests.contract.servicebus.conftest import MakeQueue
from tests.contract.servicebus.sdk import SOON, Sdk, nothing_comes, take
from tests.services import Service

SECOND = dt.timedelta(seconds=1)
DEAD_LETTERS = ServiceBusSubQueue.DEAD_LETTER


def forget_expiry(message: ServiceBusReceivedMessage) -> None:
    """Keep the SDK from refusing on its own clock, so that the emulator has to."""
    message._expiry = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)


async def test_abandoned_messages_come_again_until_they_are_dead_lettered(sdk: Sdk, make_queue: MakeQueue) -> None:
    queue = make_queue(max_delivery_count=3)
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("poison", application_properties={"kept": 1}))
        for count in range(3):
            (message,) = await take(receiver)
            assert message.delivery_count == count
            await receiver.abandon_message(message)
        assert await nothing_comes(receiver)
    async with sdk.open(sdk.receiver(queue, sub_queue=DEAD_LETTERS)) as (receiver,):
        (letter,) = await take(receiver)
        await receiver.complete_message(letter)
    assert letter.dead_letter_reason == "MaxDeliveryCountExceeded"
    assert letter.dead_letter_error_description == "Message could not be consumed after 3 delivery attempts."
    assert letter.application_properties[b"kept"] == 1
    assert str(letter) == "poison"


async def test_dead_lettering_tells_the_reason(sdk: Sdk, queue: str) -> None:
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages([ServiceBusMessage("with"), ServiceBusMessage("without")])
        told, silent = await take(receiver, 2)
        await receiver.dead_letter_message(told, reason="Because", error_description="it was so")
        await receiver.dead_letter_message(silent)
        assert await nothing_comes(receiver)
    async with sdk.open(sdk.receiver(queue, sub_queue=DEAD_LETTERS)) as (receiver,):
        letters = await take(receiver, 2)
    reasons = [(str(letter), letter.dead_letter_reason, letter.dead_letter_error_description) for letter in letters]
    assert reasons == [("with", "Because", "it was so"), ("without", None, None)]


async def test_deferred_messages_come_by_number_only(sdk: Sdk, queue: str) -> None:
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("deferred"))
        (message,) = await take(receiver)
        await receiver.defer_message(message)
        assert await nothing_comes(receiver)
        with pytest.raises(MessageNotFoundError):
            await receiver.receive_deferred_messages([message.sequence_number, 4711])
        (again,) = await receiver.receive_deferred_messages(message.sequence_number)
        assert str(again) == "deferred"
        await receiver.renew_message_lock(again)
        await receiver.complete_message(again)
        with pytest.raises(MessageNotFoundError):
            await receiver.receive_deferred_messages(message.sequence_number)


async def test_an_expired_lock_brings_the_message_back_and_the_late_settlement_fails(
    sdk: Sdk, make_queue: MakeQueue
) -> None:
    queue = make_queue(lock_duration=SECOND)
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("slow"))
        (late,) = await take(receiver)
        (again,) = await take(receiver)
        assert (again.sequence_number, again.delivery_count) == (late.sequence_number, 1)
        forget_expiry(late)
        with pytest.raises(MessageLockLostError):
            await receiver.complete_message(late)
        await receiver.complete_message(again)


async def test_a_renewed_lock_lasts(sdk: Sdk, make_queue: MakeQueue) -> None:
    queue = make_queue(lock_duration=SECOND)
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("long"))
        (message,) = await take(receiver)
        first = message.locked_until_utc
        for _ in range(3):
            assert await receiver.receive_messages(1, max_wait_time=0.5) == []
            assert await receiver.renew_message_lock(message) > first
        await receiver.complete_message(message)
        with pytest.raises(ValueError, match="settled"):
            await receiver.renew_message_lock(message)


async def test_a_lost_lock_cannot_be_renewed(async_sdk: Sdk, make_queue: MakeQueue) -> None:
    queue = make_queue(lock_duration=SECOND)
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("lost"))
        (lost,) = await take(receiver)
        await take(receiver)
        forget_expiry(lost)
        with pytest.raises(MessageLockLostError):
            await receiver.renew_message_lock(lost)


async def test_messages_that_were_prefetched_but_not_received_do_not_count(async_sdk: Sdk, queue: str) -> None:
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue, prefetch_count=50)) as (
        sender,
        receiver,
    ):
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(20)])
        (message,) = await take(receiver)
        await receiver.complete_message(message)
    async with async_sdk.open(async_sdk.receiver(queue)) as (receiver,):
        messages = await take(receiver, 19)
    assert {message.delivery_count for message in messages} == {0}


async def test_a_message_is_settled_by_another_receiver(sdk: Sdk, queue: str) -> None:
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("handed over"))
        (message,) = await take(receiver)
    async with sdk.open(sdk.receiver(queue)) as (other,):
        message._receiver = other.target
        await other.complete_message(message)
        assert await other.peek_messages(1, sequence_number=1) == []


async def test_locks_are_renewed_while_one_receiver_settles(service: Service, queue: str) -> None:
    """The SDK's threads write requests without a lock, even with the same delivery ids: the emulator must cope."""
    sdk = Sdk("sync", service.port)
    async with sdk.open(sdk.sender(queue), sdk.receiver(queue, prefetch_count=60)) as (sender, opened):
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(60)])
        receiver = opened.target
        messages = await take(opened, 60)

        def renew(message: ServiceBusReceivedMessage) -> None:
            receiver.renew_message_lock(message, timeout=SOON)

        with ThreadPoolExecutor(4) as threads:
            renewals = [threads.submit(renew, message) for message in messages[:30]]
            for message in messages[30:]:
                receiver.complete_message(message)
            for renewal in renewals:
                renewal.result(timeout=SOON)
        for message in messages[:30]:
            receiver.complete_message(message)
        assert receiver.peek_messages(1, sequence_number=1) == []
    sdk.client.close()


async def test_the_auto_renewer_keeps_a_lock(service: Service, make_queue: MakeQueue) -> None:
    queue = make_queue(lock_duration=2 * SECOND)
    sdk = Sdk("sync", service.port)
    with AutoLockRenewer() as renewer:
        links = (sdk.sender(queue), sdk.receiver(queue, auto_lock_renewer=renewer))
        async with sdk.open(*links) as (sender, receiver):
            await sender.send_messages(ServiceBusMessage("renewed"))
            (message,) = await take(receiver)
            left = message.locked_until_utc - dt.datetime.now(dt.UTC)
            await asyncio.sleep(left.total_seconds() + 0.5)  # a handler works for longer than the first lock
            await receiver.complete_message(message)
    sdk.client.close()


async def test_competing_receivers_share_fairly(async_sdk: Sdk, queue: str) -> None:
    links = (async_sdk.sender(queue), *(async_sdk.receiver(queue) for _ in range(4)))
    async with async_sdk.open(*links) as (sender, *receivers):
        waiting: list[asyncio.Task[Any]] = [
            asyncio.create_task(receiver.receive_messages(5, max_wait_time=SOON)) for receiver in receivers
        ]
        await sender.send_messages([ServiceBusMessage(str(number)) for number in range(20)])
        taken = await asyncio.gather(*waiting)
    assert all(taken), "one that begins to receive late finds what the others left"
    bodies = [str(message) for messages in taken for message in messages]
    assert len(set(bodies)) == len(bodies)
