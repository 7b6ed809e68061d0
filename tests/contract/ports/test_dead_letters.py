"""The queue of dead letters: what Service Bus and its fake both promise to who looks at it and works it off."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.azure.dead_letters import ServiceBusDeadLetters
from shared.azure.servicebus import ServiceBusConnection, ServiceBusJobQueue
from shared.composition import utc_now
from shared.config import Connection
from shared.jobs.ids import new_job_id
from shared.jobs.model import JobMessage
from shared.service.ports import DeadLetter, DeadLetters, JobQueue, TransientError
from tests.fakes import FakeDeadLetters, FakeQueue
from tests.unit.examples import a_job

pytestmark = pytest.mark.xdist_group("ports-broker")

Ports = tuple[JobQueue, DeadLetters]


async def removed(_: DeadLetter) -> bool:
    return True


@pytest.fixture(params=["fake", "azure"])
async def ports(request: pytest.FixtureRequest) -> AsyncIterator[Ports]:
    """A queue and its dead letters, none at the end."""
    if request.param == "fake":
        fake = FakeQueue(utc_now)
        yield fake, FakeDeadLetters(fake)
        return
    connection: Connection = request.getfixturevalue("service_bus")
    bus = ServiceBusConnection(connection)
    queue, dead_letters = ServiceBusJobQueue(bus), ServiceBusDeadLetters(bus)
    yield queue, dead_letters
    await dead_letters.take(lambda _: True, removed, 1000)
    await queue.close()


async def bury(queue: JobQueue, count: int, **fields: Any) -> list[str]:
    """Send dead letters one after the other and return their jobs' ids."""
    ids = [new_job_id(utc_now(), random.SystemRandom()) for _ in range(count)]
    for job_id in ids:
        message = JobMessage(job=a_job(job_id=job_id, **fields), attempt=1)
        await queue.send_dead(message, "busy", "No room.")
    return ids


async def test_letters_are_browsed_oldest_first_and_stay(ports: Ports) -> None:
    queue, dead_letters = ports
    ids = await bury(queue, 3)
    await queue.send_dead_raw(b"?", "m-1", "undecodable_message", "malformed")
    for _ in range(2):
        letters = await dead_letters.browse(10)
        assert [letter.job_id for letter in letters] == [*ids, None]
    assert [(letter.reason, letter.description) for letter in letters[2:]] == [
        ("busy", "No room."),
        ("undecodable_message", "malformed"),
    ]
    assert all(abs((letter.dead_since - utc_now()).total_seconds()) < 60 for letter in letters)
    assert [letter.job_id for letter in await dead_letters.browse(2)] == ids[:2]


async def test_matching_letters_are_handled_once_and_only_those_done_with_go(ports: Ports) -> None:
    queue, dead_letters = ports
    wanted = await bury(queue, 3, job_type="wanted")
    (other,) = await bury(queue, 1, job_type="other")
    handled: list[str | None] = []

    async def handle(letter: DeadLetter) -> bool:
        handled.append(letter.job_id)
        return letter.job_id != wanted[1]

    more = await dead_letters.take(lambda letter: letter.job_type == "wanted", handle, 10)
    assert (more, handled) == (False, wanted)
    assert [letter.job_id for letter in await dead_letters.browse(10)] == [wanted[1], other]


async def test_a_call_stops_at_its_limit_and_the_next_goes_on(ports: Ports) -> None:
    queue, dead_letters = ports
    ids = await bury(queue, 3)
    assert await dead_letters.take(lambda _: True, removed, 2) is True
    assert [letter.job_id for letter in await dead_letters.browse(10)] == ids[2:]
    assert await dead_letters.take(lambda _: True, removed, 2) is False
    assert await dead_letters.browse(10) == []


async def test_two_letters_of_a_job_are_not_handled_at_once(ports: Ports) -> None:
    queue, dead_letters = ports
    job_id = new_job_id(utc_now(), random.SystemRandom())
    for run in (1, 2):
        await queue.send_dead(JobMessage(job=a_job(job_id=job_id, run=run), attempt=1), "busy", "No room.")
    await bury(queue, 2)
    handled: set[str | None] = set()

    async def handle(letter: DeadLetter) -> bool:
        await asyncio.sleep(0)
        handled.add(letter.job_id)
        return True

    await dead_letters.take(lambda letter: letter.job_id not in handled, handle, 10)
    assert [letter.job_id for letter in await dead_letters.browse(10)] == [job_id]


async def test_more_letters_than_one_look_brings(ports: Ports) -> None:
    queue, dead_letters = ports
    ids = await bury(queue, 120)
    last = frozenset(ids[-3:])
    assert await dead_letters.take(lambda letter: letter.job_id in last, removed, 2) is True
    assert [letter.job_id for letter in await dead_letters.browse(200)] == [*ids[:-3], ids[-1]]


async def test_where_handling_fails_the_others_are_done_with_and_the_letter_stays(ports: Ports) -> None:
    queue, dead_letters = ports
    ids = await bury(queue, 3)

    async def handle(letter: DeadLetter) -> bool:
        if letter.job_id == ids[2]:
            raise TransientError("the table does not answer")
        return True

    with pytest.raises(TransientError):
        await dead_letters.take(lambda _: True, handle, 10)
    assert [letter.job_id for letter in await dead_letters.browse(10)] == ids[2:]
    # It is there for the next call at once.
    await dead_letters.take(lambda _: True, removed, 10)
    assert await dead_letters.browse(10) == []
