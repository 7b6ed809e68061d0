"""The quota of open jobs: kept between two counts, lifted by the next, and no job is lost or refused for a fault."""

from __future__ import annotations

import msgspec
import pytest

from shared.errors import QuotaExceededError
from shared.jobs.model import Job
from shared.service.ports import Services, TransientError
from shared.service.quota import COUNT_INTERVAL
from shared.service.submit import submit, submit_batch
from tests.unit.service.world import TRACE, World

WORK = {"job_type": "work"}


def limited(world: World, max_open: int, name: str = "limited") -> Services:
    world.settings = msgspec.structs.replace(world.settings, tenant_max_open=max_open)
    return world.instance(name)


async def submit_work(services: Services, key: str | None = None) -> Job:
    return (await submit(services, WORK, TRACE, key)).job


async def test_a_job_over_the_quota_is_refused_with_when_to_come_again_and_leaves_nothing(world: World) -> None:
    services = limited(world, 2)
    for _ in range(2):
        await submit_work(services)
    world.clock.advance(4)
    before = (len(world.status.writes), len(world.queue.waiting))
    with pytest.raises(QuotaExceededError, match="The tenant default has its 2 open jobs") as caught:
        await submit_work(services)
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("quota_exceeded", 429, 6)
    assert (len(world.status.writes), len(world.queue.waiting)) == before


async def test_jobs_that_have_ended_make_room_at_the_next_count(world: World) -> None:
    services = limited(world, 1)
    await submit_work(services)
    await world.drain()
    with pytest.raises(QuotaExceededError):
        await submit_work(services)
    world.clock.advance(COUNT_INTERVAL.total_seconds())
    await submit_work(services)


async def test_of_a_batch_as_many_are_accepted_as_there_is_room_for(world: World) -> None:
    services = limited(world, 3)
    await submit_work(services)
    outcomes = await submit_batch(services, {"jobs": [WORK, {"job_type": "wrok"}, WORK, WORK, WORK]}, TRACE)
    assert [getattr(each, "code", "accepted") for each in outcomes] == [
        "accepted",
        "unknown_job_type",
        "accepted",
        "quota_exceeded",
        "quota_exceeded",
    ]
    assert len(world.queue.waiting) == 3


async def test_what_another_instance_accepted_is_known_at_the_next_count(world: World) -> None:
    one, other = limited(world, 2), limited(world, 2, "other")
    await submit_work(one)
    await submit_work(other)  # counts one, and takes the second
    await submit_work(one)  # has counted none, and taken one: over the quota until it counts again
    world.clock.advance(COUNT_INTERVAL.total_seconds())
    for services in (one, other):
        with pytest.raises(QuotaExceededError):
            await submit_work(services)


async def test_a_request_that_is_repeated_is_answered_though_the_quota_is_used_up(world: World) -> None:
    services = limited(world, 1)
    job = await submit_work(services, "key")
    assert (await submit_work(services, "key")).job_id == job.job_id


async def test_a_key_does_not_lead_around_the_quota_and_is_not_spoilt_by_it(world: World) -> None:
    services = limited(world, 1)
    await submit_work(services)
    for _ in range(2):
        with pytest.raises(QuotaExceededError):
            await submit_work(services, "key")
    await world.drain()
    world.clock.advance(COUNT_INTERVAL.total_seconds())
    await submit_work(services, "key")


async def test_rows_that_cannot_be_counted_refuse_nobody_and_the_last_count_holds(world: World) -> None:
    services = limited(world, 2)
    world.faults.plant("status.count_unfinished", TransientError("away"), times=2)
    await submit_work(services)
    await submit_work(services)
    with pytest.raises(QuotaExceededError):
        await submit_work(services)
    world.clock.advance(COUNT_INTERVAL.total_seconds())
    with pytest.raises(QuotaExceededError):
        await submit_work(services)


async def test_without_a_quota_nothing_is_counted(world: World) -> None:
    world.faults.plant("status.count_unfinished", TransientError("away"))
    for _ in range(3):
        await submit_work(world.services)
    with pytest.raises(TransientError):
        await world.status.count_unfinished("default", 5)
