"""The job queue: what Service Bus and its fake both promise."""

from __future__ import annotations

import asyncio
import base64
import random
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from shared.composition import utc_now
from shared.jobs.ids import message_id, new_job_id
from shared.jobs.model import JobMessage, Priority
from shared.service.ports import Outgoing, TransientError
from tests.contract.ports.broker import Broker, Received
from tests.fakes import seeded
from tests.unit.examples import a_job

pytestmark = pytest.mark.xdist_group("ports-broker")


def outgoing(due: datetime | None = None, copy: str = "", **fields: Any) -> Outgoing:
    fields.setdefault("job_id", new_job_id(utc_now(), random.SystemRandom()))
    job = a_job(**fields)
    return Outgoing(JobMessage(job=job, attempt=1, etag='W/"1"'), message_id(job.job_id, 1, 1, copy), due)


async def test_each_message_arrives_whole_in_the_queue_of_its_priority(broker: Broker) -> None:
    sent = [outgoing(priority=priority, payload={"for": priority}) for priority in Priority]
    await broker.queue.send(sent)
    received = await asyncio.gather(*(broker.receive(priority, 1) for priority in Priority))
    assert received == [[Received(each.message, each.message_id)] for each in sent]


async def test_a_scheduled_message_arrives_when_it_is_due_and_not_before(broker: Broker) -> None:
    due = utc_now() + timedelta(seconds=1)
    await broker.queue.send([outgoing(due)])
    await broker.receive(Priority.MEDIUM, 1)
    assert utc_now() >= due - timedelta(milliseconds=50)  # the clock of the broker is not that of the test


async def test_a_second_message_of_the_same_id_is_dropped_and_a_copy_is_not(broker: Broker) -> None:
    first = outgoing()
    job_id = first.message.job.job_id
    await broker.queue.send([first])
    await broker.queue.send([first])
    copy = outgoing(copy="c1", job_id=job_id)
    await broker.queue.send([copy])
    received = await broker.receive(Priority.MEDIUM, 2)
    assert sorted(each.message_id for each in received) == sorted([first.message_id, copy.message_id])
    await broker.queue.send([first, outgoing(job_id=job_id, copy="c2")])
    assert [each.message_id for each in await broker.receive(Priority.MEDIUM, 1)] == [f"{first.message_id}:c2"]


async def test_a_thousand_messages_of_all_priorities_arrive_each_once(broker: Broker) -> None:
    priorities = list(Priority)
    sent = [outgoing(priority=priorities[n % 4], payload={"fill": "x" * 500}) for n in range(1000)]
    await broker.queue.send(sent)
    received = await asyncio.gather(*(broker.receive(priority, 250) for priority in priorities))
    ids = [each.message_id for queue in received for each in queue]
    assert sorted(ids) == sorted(each.message_id for each in sent)


async def test_messages_too_long_for_one_batch_go_in_several(broker: Broker) -> None:
    data = base64.b64encode(seeded(1).randbytes(96 * 1024)).decode()
    sent = [outgoing(payload={"data": data, "n": n}) for n in range(5)]
    await broker.queue.send(sent)
    received = await broker.receive(Priority.MEDIUM, 5)
    assert sorted(each.message.job.payload["n"] for each in received) == [0, 1, 2, 3, 4]


async def test_a_message_over_256_kib_is_certainly_not_taken(broker: Broker) -> None:
    too_long = outgoing(payload={"data": "x" * 256 * 1024})
    for call in (broker.queue.send([too_long]), broker.queue.send_dead(too_long.message, "r", "d")):
        with pytest.raises(TransientError) as caught:
            await call
        assert caught.value.unknown_outcome is False


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.LOW], ids=["other queue", "same queue"])
async def test_when_some_of_the_messages_were_taken_the_outcome_is_unknown(broker: Broker, priority: Priority) -> None:
    # Each fills a batch, so that the first is on its way when the third turns out not to fit.
    data = base64.b64encode(seeded(2).randbytes(150 * 1024)).decode()
    short = [outgoing(priority=Priority.LOW, payload={"data": data}) for _ in range(2)]
    too_long = outgoing(priority=priority, payload={"data": "x" * 256 * 1024})
    with pytest.raises(TransientError) as caught:
        await broker.queue.send([*short, too_long])
    assert caught.value.unknown_outcome is True
    received = await broker.receive(Priority.LOW, 1)
    assert {each.message_id for each in received} <= {each.message_id for each in short}


async def test_tasks_that_send_at_once_all_arrive(broker: Broker) -> None:
    sent = [outgoing() for _ in range(30)]
    await asyncio.gather(*(broker.queue.send([each]) for each in sent))
    received = await broker.receive(Priority.MEDIUM, 30)
    assert {each.message_id for each in received} == {each.message_id for each in sent}


async def test_a_dead_letter_carries_its_reason_and_comes_once(broker: Broker) -> None:
    message = outgoing().message
    for _ in range(2):
        await broker.queue.send_dead(message, "busy", "It was \u2603. " * 1000)
    (dead,) = await broker.receive_dead(1)
    assert msgspec.json.decode(dead.body, type=JobMessage) == message
    assert dead.reason == "busy"
    assert dead.description.startswith("It was \u2603. ")


async def test_a_body_that_nobody_could_read_is_kept_as_it_is(broker: Broker) -> None:
    await broker.queue.send_dead_raw(b"\xff\x00nope", f"{'m' * 128}", "undecodable_message", "malformed")
    (dead,) = await broker.receive_dead(1)
    assert (dead.body, dead.reason, dead.description) == (b"\xff\x00nope", "undecodable_message", "malformed")


async def test_a_body_that_is_put_back_comes_again_as_it_is(broker: Broker) -> None:
    sent = outgoing(priority=Priority.LOW)
    await broker.queue.send([sent])
    (first,) = await broker.receive(Priority.LOW, 1)
    await broker.queue.put_back(Priority.LOW, msgspec.json.encode(sent.message), sent.message_id, utc_now())
    (again,) = await broker.receive(Priority.LOW, 1)
    assert again.message == first.message
    assert again.message_id != first.message_id, "duplicate detection would have dropped it"


async def test_the_oldest_waiting_message_of_each_queue_is_known(broker: Broker) -> None:
    assert await broker.queue.oldest_waiting() == dict.fromkeys(Priority)
    before = utc_now()
    await broker.queue.send([outgoing(utc_now() + timedelta(hours=1), priority=Priority.HIGH)])
    await broker.queue.send([outgoing(priority=Priority.HIGH)])
    between = utc_now()
    await broker.queue.send([outgoing(priority=Priority.HIGH), outgoing(priority=Priority.LOW)])
    oldest = await broker.queue.oldest_waiting()
    high, a_second = oldest[Priority.HIGH], timedelta(seconds=1)
    assert high is not None
    assert before - a_second <= high <= between + a_second
    assert oldest[Priority.LOW] is not None
    assert (oldest[Priority.CRITICAL], oldest[Priority.MEDIUM]) == (None, None)
    await asyncio.gather(broker.receive(Priority.HIGH, 2), broker.receive(Priority.LOW, 1))
