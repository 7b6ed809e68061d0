"""The administration client on queues: create, read, update, delete, list, count."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.servicebus import ServiceBusMessage
from azure.servicebus.exceptions import ServiceBusError
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.contract.servicebus.conftest import MakeQueue
from tests.contract.servicebus.sdk import Awaited, Sdk, take


def test_a_queue_lives_as_it_was_defined(admin: ServiceBusAdministrationClient, queue: str) -> None:
    name = "some/path/Queue_1.x"
    created = admin.create_queue(
        name,
        lock_duration=dt.timedelta(seconds=7),
        max_delivery_count=4,
        default_message_time_to_live=dt.timedelta(days=2, seconds=1.5),
        dead_lettering_on_message_expiration=True,
        requires_duplicate_detection=True,
        duplicate_detection_history_time_window="PT5M",
        forward_dead_lettered_messages_to=queue,
        user_metadata="<& text>",
    )
    got: Any = admin.get_queue(name)
    assert got == created
    assert got.lock_duration == dt.timedelta(seconds=7)
    assert got.default_message_time_to_live == dt.timedelta(days=2, seconds=1.5)
    assert got.duplicate_detection_history_time_window == dt.timedelta(minutes=5)
    assert (got.max_delivery_count, got.status, got.user_metadata) == (4, "Active", "<& text>")
    assert got.forward_dead_lettered_messages_to.endswith(f"/{queue}")
    admin.update_queue(got, max_delivery_count=9)
    assert admin.get_queue(name).max_delivery_count == 9
    admin.delete_queue(name)
    with pytest.raises(ResourceNotFoundError):
        admin.get_queue(name)


def test_a_new_queue_counts_nothing(admin: ServiceBusAdministrationClient, queue: str) -> None:
    counts: Any = admin.get_queue_runtime_properties(queue)
    assert counts.total_message_count == counts.active_message_count == counts.scheduled_message_count == 0
    assert counts.dead_letter_message_count == counts.transfer_message_count == counts.size_in_bytes == 0
    assert counts.transfer_dead_letter_message_count == 0
    age = dt.datetime.now(dt.UTC) - counts.created_at_utc
    assert dt.timedelta(0) <= age < dt.timedelta(seconds=30)


async def test_counts_follow_the_messages(
    async_sdk: Sdk, admin: ServiceBusAdministrationClient, make_queue: MakeQueue
) -> None:
    queue = make_queue()
    due = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages([ServiceBusMessage("x" * 1000) for _ in range(4)])
        await sender.schedule_messages(ServiceBusMessage("scheduled"), due)
        completed, dead, _ = await take(receiver, 3)
        await receiver.complete_message(completed)
        await receiver.dead_letter_message(dead)
        counts: Any = admin.get_queue_runtime_properties(queue)
    assert (counts.active_message_count, counts.scheduled_message_count, counts.dead_letter_message_count) == (2, 1, 1)
    assert counts.total_message_count == 4
    assert 3000 < counts.size_in_bytes < 4500
    assert counts.accessed_at_utc >= counts.created_at_utc


def test_queues_are_listed_page_by_page(admin: ServiceBusAdministrationClient, make_queue: MakeQueue) -> None:
    made = {make_queue() for _ in range(3)}
    small_pages = {queue.name for queue in admin.list_queues(max_page_size=2)}
    assert made <= small_pages == {queue.name for queue in admin.list_queues_runtime_properties()}


def test_what_cannot_be_is_refused(admin: ServiceBusAdministrationClient, queue: str) -> None:
    properties = admin.get_queue(queue)
    with pytest.raises(ResourceExistsError):
        admin.create_queue(queue)
    with pytest.raises(ResourceNotFoundError):
        admin.delete_queue("missing")
    with pytest.raises(HttpResponseError, match="no sessions"):
        admin.create_queue("with-sessions", requires_session=True)
    with pytest.raises(HttpResponseError, match="no sessions"):
        admin.update_queue(properties, requires_session=True)
    with pytest.raises(HttpResponseError, match="cannot be changed"):
        admin.update_queue(properties, requires_duplicate_detection=True)
    with pytest.raises(HttpResponseError, match="not another queue"):
        admin.create_queue("forwarding", forward_to="missing")
    with pytest.raises(HttpResponseError, match="not a queue name"):
        admin.create_queue("a name?")
    properties.name = "missing"
    with pytest.raises(ResourceNotFoundError):
        admin.update_queue(properties)
    assert {"with-sessions", "forwarding"}.isdisjoint(queue.name for queue in admin.list_queues())


async def test_a_deleted_queue_closes_its_links_and_forgets_its_messages(
    async_sdk: Sdk, admin: ServiceBusAdministrationClient, make_queue: MakeQueue
) -> None:
    queue = make_queue()
    async with async_sdk.open(async_sdk.sender(queue), async_sdk.receiver(queue)) as (sender, receiver):
        await sender.send_messages(ServiceBusMessage("forgotten"))
        admin.delete_queue(queue)
        with pytest.raises(ServiceBusError):
            await _receive_twice(receiver)
    admin.create_queue(queue)
    assert admin.get_queue_runtime_properties(queue).total_message_count == 0


async def _receive_twice(receiver: Awaited) -> None:
    """The message may have come already: then only the second receive meets the closed link."""
    await receiver.receive_messages(1, max_wait_time=5)
    await receiver.receive_messages(1, max_wait_time=5)
