"""The queues' administration: what Service Bus and its fake both promise."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from shared.azure.queue_admin import ServiceBusQueueAdmin
from shared.composition import utc_now
from shared.jobs.model import Priority
from shared.service.ports import QueueCounts, TransientError
from tests.contract.ports import services
from tests.contract.ports.broker import Broker
from tests.contract.ports.test_queue import outgoing

pytestmark = pytest.mark.xdist_group("ports-broker")

NONE = QueueCounts(0, 0)


def but(**counts: QueueCounts) -> Mapping[str, QueueCounts]:
    """Empty queues but for these."""
    return {**dict.fromkeys((*Priority, "dead", "poison"), NONE), **counts}


async def test_each_queue_counts_what_it_holds_now_and_what_comes_later(broker: Broker) -> None:
    assert await broker.admin.counts() == but()
    # Not far ahead, so that it can be received and the queues are empty again for the next test.
    later = outgoing(utc_now() + timedelta(seconds=2), priority=Priority.LOW)
    await broker.queue.send([*(outgoing(priority=Priority.LOW) for _ in range(3)), later])
    await broker.queue.send_dead(outgoing().message, "reason", "")
    found = await broker.admin.counts()
    assert found in (
        but(low=QueueCounts(3, 1), dead=QueueCounts(1, 0)),
        but(low=QueueCounts(4, 0), dead=QueueCounts(1, 0)),
    )
    await asyncio.gather(broker.receive(Priority.LOW, 4), broker.receive_dead(1))
    assert await broker.admin.counts() == but()


async def test_a_held_queue_takes_messages_and_delivers_them_once_it_is_let_go(broker: Broker) -> None:
    for _ in range(2):
        await broker.admin.set_receiving(Priority.HIGH, receiving=False)
    sent = [outgoing(priority=priority) for priority in (Priority.HIGH, Priority.MEDIUM)]
    await broker.queue.send(sent)
    assert (await broker.admin.counts())["high"] == QueueCounts(1, 0)
    assert [each.message_id for each in await broker.receive(Priority.MEDIUM, 1)] == [sent[1].message_id]
    for _ in range(2):
        await broker.admin.set_receiving(Priority.HIGH, receiving=True)
    assert [each.message_id for each in await broker.receive(Priority.HIGH, 1)] == [sent[0].message_id]


async def test_a_held_queue_counts_as_holding_all_there_is(broker: Broker) -> None:
    await broker.admin.set_receiving(Priority.LOW, receiving=False)
    oldest = await broker.queue.oldest_waiting()
    await broker.admin.set_receiving(Priority.LOW, receiving=True)
    assert oldest == {**dict.fromkeys(Priority), Priority.LOW: datetime.min.replace(tzinfo=UTC)}


async def test_a_broker_that_is_not_there_is_said_to_be_away() -> None:
    admin = ServiceBusQueueAdmin(services.service_bus(services.nobodys_port()))
    try:
        for call in (admin.counts(), admin.set_receiving(Priority.LOW, receiving=False)):
            with pytest.raises(TransientError):
                await call
    finally:
        await admin.close()
