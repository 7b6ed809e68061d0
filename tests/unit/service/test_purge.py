"""Clearing a queue."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import InvalidRequestError, QueueNotFoundError, UnavailableError
from shared.jobs.model import Job, JobState
from shared.service import purge
from shared.service.audit import AUDIT
from shared.service.ports import TransientError
from shared.service.purge import PurgeReport, purge_queue
from tests.unit.service.world import World

S = JobState


async def waiting(world: World, count: int, **fields: Any) -> list[Job]:
    return [await world.submit(**{"priority": "low", **fields}) for _ in range(count)]


async def test_only_what_waits_in_that_queue_is_cancelled(world: World) -> None:
    gone = [*await waiting(world, 2), *await waiting(world, 1, delay_seconds=60)]
    (retrying,) = await waiting(world, 1)
    await world.touch(retrying, state=S.RETRYING, attempt=1)
    (runs,) = await waiting(world, 1)
    await world.touch(runs, state=S.RUNNING, attempt=1, owner="one", lease_until=world.clock.now)
    (other,) = await waiting(world, 1, priority="high")
    report = await purge_queue(world.services, "low", {}, "me")
    assert report == PurgeReport(matched=4, cancelled=4, more=False, dry_run=False)
    assert {world.row(job).state for job in [*gone, retrying]} == {S.CANCELLED}
    assert (world.row(runs).state, world.row(runs).cancel_requested) == (S.RUNNING, False)
    assert world.row(other).state is S.QUEUED
    (entry,) = [record.value for record in await world.records.list(AUDIT)]
    assert (entry["by"], entry["action"], entry["target"]) == ("me", "queue.purge", "low")
    assert entry["details"] == {"matched": 4, "cancelled": 4, "more": False}


async def test_a_dry_run_tells_and_touches_nothing(world: World) -> None:
    jobs = await waiting(world, 3)
    report = await purge_queue(world.services, "low", {"dry_run": True}, "me")
    assert report == PurgeReport(matched=3, cancelled=0, more=False, dry_run=True)
    assert {world.row(job).state for job in jobs} == {S.QUEUED}
    assert await world.records.list(AUDIT) == []


async def test_it_goes_on_after_its_limit_over_pages_and_hours(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge, "_PAGE", 2)
    jobs = await waiting(world, 5)
    world.clock.advance(3600)
    jobs += await waiting(world, 5)
    reports = [await purge_queue(world.services, "low", {"limit": 4}, "me") for _ in range(4)]
    assert [(report.matched, report.cancelled, report.more) for report in reports] == [
        (4, 4, True),
        (4, 4, True),
        (2, 2, False),
        (0, 0, False),
    ]
    assert {world.row(job).state for job in jobs} == {S.CANCELLED}


async def test_a_job_that_begins_to_run_in_the_middle_is_left_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await waiting(world, 2)
    page = world.status.page

    async def page_and_begin(*arguments: Any) -> list[Job]:
        jobs = await page(*arguments)
        if first.job_id in [job.job_id for job in jobs]:
            await world.touch(first, state=S.RUNNING, attempt=1, owner="one", lease_until=world.clock.now)
        return jobs

    monkeypatch.setattr(world.status, "page", page_and_begin)
    report = await purge_queue(world.services, "low", {}, "me")
    assert (report.matched, report.cancelled) == (2, 1)
    assert (world.row(first).state, world.row(first).cancel_requested) == (S.RUNNING, False)
    assert world.row(second).state is S.CANCELLED


async def test_stores_that_do_not_answer_are_said_so_and_the_trail_tells_what_was_done(world: World) -> None:
    await waiting(world, 2)
    world.faults.plant("status.page", TransientError("away"))
    with pytest.raises(UnavailableError, match="Nothing was purged"):
        await purge_queue(world.services, "low", {}, "me")
    assert await world.records.list(AUDIT) == []
    world.faults.plant("results.put", TransientError("away"), times=2)
    with pytest.raises(UnavailableError):
        await purge_queue(world.services, "low", {}, "me")
    assert len(await world.records.list(AUDIT)) == 1
    assert (await purge_queue(world.services, "low", {}, "me")).cancelled == 2


@pytest.mark.parametrize("body", [{"limit": 0}, {"limit": 1001}, {"dry_run": "yes"}, {"limits": 1}])
async def test_a_malformed_purge_is_refused(world: World, body: Any) -> None:
    with pytest.raises(InvalidRequestError):
        await purge_queue(world.services, "low", body, "me")


async def test_an_unknown_queue_is_not_found(world: World) -> None:
    with pytest.raises(QueueNotFoundError):
        await purge_queue(world.services, "poison", {}, "me")
