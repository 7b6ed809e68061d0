"""The queues' administration: what Service Bus and its fake both promise."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.azure.queue_admin import ServiceBusQueueAdmin
from shared.composition import utc_now
from shared.jobs.model import Priority
from shared.service.ports import TransientError
from tests.contract.ports import services
from tests.contract.ports.broker import Broker
from tests.contract.ports.test_queue import outgoing

pytestmark = pytest.mark.xdist_group("ports-broker")


async def test_each_queue_counts_what_it_holds_now_and_what_comes_later(broker: Broker) -> None:
    before = await broker.admin.counts()
    assert before.keys() == {*Priority, "dead", "poison"}
    # Not far ahead, so that it can be received and the queue is again as it was.
    later = outgoing(utc_now() + timedelta(seconds=2), priority=Priority.LOW)
    await broker.queue.send([*(outgoing(priority=Priority.LOW) for _ in range(3)), later])
    await broker.queue.send_dead(outgoing().message, "reason", "")
    found = await broker.admin.counts()
    assert found["dead"].active == before["dead"].active + 1
    more = (found["low"].active - before["low"].active, found["low"].scheduled - before["low"].scheduled)
    assert more in {(3, 1), (4, 0)}
    assert {name for name in found if found[name] != before[name]} == {"low", "dead"}
    await asyncio.gather(broker.receive(Priority.LOW, 4), broker.receive_dead(1))
    assert await broker.admin.counts() == before


async def test_a_held_queue_takes_messages_and_delivers_them_once_it_is_let_go(broker: Broker) -> None:
    before = (await broker.admin.counts())["high"].active
    sent = [outgoing(priority=priority) for priority in (Priority.HIGH, Priority.MEDIUM)]
    try:
        for _ in range(2):
            await broker.admin.set_receiving(Priority.HIGH, receiving=False)
        await broker.queue.send(sent)
        assert (await broker.admin.counts())["high"].active == before + 1
        assert [each.message_id for each in await broker.receive(Priority.MEDIUM, 1)] == [sent[1].message_id]
    finally:
        for _ in range(2):
            await broker.admin.set_receiving(Priority.HIGH, receiving=True)
    assert sent[0].message_id in [each.message_id for each in await broker.receive(Priority.HIGH, 1)]


async def test_a_held_queue_counts_as_holding_all_there_is(broker: Broker) -> None:
    await broker.admin.set_receiving(Priority.LOW, receiving=False)
    try:
        oldest = await broker.queue.oldest_waiting()
    finally:
        await broker.admin.set_receiving(Priority.LOW, receiving=True)
    since_ever = datetime.min.replace(tzinfo=UTC)
    assert [priority for priority, moment in oldest.items() if moment == since_ever] == [Priority.LOW]


async def test_a_queue_that_is_known_to_be_held_is_not_asked(broker: Broker) -> None:
    oldest = await broker.queue.oldest_waiting([Priority.HIGH, Priority.LOW])
    since_ever = datetime.min.replace(tzinfo=UTC)
    assert [priority for priority, moment in oldest.items() if moment == since_ever] == [Priority.HIGH, Priority.LOW]


async def test_a_broker_that_is_not_there_is_said_to_be_away() -> None:
    admin = ServiceBusQueueAdmin(services.service_bus(services.nobodys_port()))
    try:
        for call in (admin.counts(), admin.set_receiving(Priority.LOW, receiving=False)):
            with pytest.raises(TransientError):
                await call
    finally:
        await admin.close()
