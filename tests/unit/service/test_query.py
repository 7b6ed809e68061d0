"""Reading jobs: one, its result, many, and waiting for a change."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.errors import (
    InvalidRequestError,
    JobNotFoundError,
    NotFinishedError,
    ResultExpiredError,
    UnavailableError,
)
from shared.jobs import JobContext, PermanentError
from shared.jobs.model import Job, JobState, Priority
from shared.service.ports import JobFilter, TransientError
from shared.service.query import get_job, get_result, list_jobs
from tests.unit.service.world import Work, World

S = JobState
ANY = JobFilter()


async def test_a_job_is_read_as_it_is(world: World) -> None:
    accepted = await world.submit()
    waiting = await get_job(world.services, accepted.job_id)
    assert (waiting.view.state, waiting.finished) == (S.QUEUED, False)
    await world.drain()
    done = await get_job(world.services, accepted.job_id)
    assert (done.view.state, done.finished) == (S.COMPLETED, True)
    assert done.etag != waiting.etag


@pytest.mark.parametrize("job_id", ["", "nope", "019CA8E9-F22B-7A3B-8199-C6B41C80317F", "../x"])
async def test_a_malformed_id_is_no_job_and_costs_no_call(world: World, job_id: str) -> None:
    world.faults.plant("", AssertionError("no call is needed"))
    for ask in (get_job, get_result):
        with pytest.raises(JobNotFoundError, match="is not a job id"):
            await ask(world.services, job_id)


async def test_an_id_that_was_never_given_out_is_no_job(world: World) -> None:
    with pytest.raises(JobNotFoundError, match="or it has expired"):
        await get_job(world.services, "019ca8e9-f22b-7a3b-8199-c6b41c80317f")


async def test_a_job_whose_row_is_gone_is_read_from_its_result(world: World) -> None:
    accepted = await world.submit(payload={"note": 4})
    await world.drain()
    before = await get_job(world.services, accepted.job_id)
    world.status.lose_writes(3)
    assert await get_job(world.services, accepted.job_id) == before
    assert (await get_result(world.services, accepted.job_id)).result == 4


async def test_a_wait_ends_with_the_first_change(world: World) -> None:
    accepted = await world.submit()
    asked = asyncio.create_task(get_job(world.services, accepted.job_id, wait=30))
    await asyncio.sleep(0.01)
    await world.touch(accepted, progress=50)
    async with asyncio.timeout(5):
        assert (await asked).view.progress == 50


async def test_a_wait_for_what_the_caller_does_not_know_yet_ends_at_once(world: World) -> None:
    accepted = await world.submit()
    known = (await get_job(world.services, accepted.job_id)).etag
    await world.touch(accepted, progress=50)
    async with asyncio.timeout(5):
        assert (await get_job(world.services, accepted.job_id, wait=30, known=frozenset({known}))).view.progress == 50


async def test_a_wait_for_a_finished_job_ends_at_once(world: World) -> None:
    accepted = await world.submit()
    await world.drain()
    known = (await get_job(world.services, accepted.job_id)).etag
    async with asyncio.timeout(5):
        assert (await get_job(world.services, accepted.job_id, wait=30, known=frozenset({known}))).finished


async def test_a_wait_is_over_after_its_time(world: World) -> None:
    accepted = await world.submit()
    async with asyncio.timeout(5):
        assert (await get_job(world.services, accepted.job_id, wait=0.05)).view.state is S.QUEUED


async def test_a_result_is_there_once_the_job_ended(world: World) -> None:
    accepted = await world.submit(payload={"note": [1, 2]})
    with pytest.raises(NotFinishedError, match=rf"The job is queued.*/jobs/{accepted.job_id}\?wait=30"):
        await get_result(world.services, accepted.job_id)
    await world.drain()
    result = await get_result(world.services, accepted.job_id)
    assert (result.result, result.payload, result.state) == ([1, 2], {"note": [1, 2]}, S.COMPLETED)
    assert [attempt.outcome for attempt in result.attempts] == ["completed"]


async def test_a_failed_jobs_result_tells_why(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        raise PermanentError("never", code="gone")

    world.handler = work
    accepted = await world.submit()
    await world.drain()
    result = await get_result(world.services, accepted.job_id)
    assert result.error is not None
    assert (result.state, result.result, result.error.code) == (S.FAILED, None, "gone")


async def test_a_result_past_its_time_is_gone(world: World) -> None:
    accepted = await world.submit()
    await world.drain()
    world.results.documents.clear()
    with pytest.raises(ResultExpiredError, match="kept 30 days"):
        await get_result(world.services, accepted.job_id)


@pytest.mark.parametrize("call", ["status.get", "results.get"])
async def test_a_store_that_is_away_is_said_so(world: World, call: str) -> None:
    accepted = await world.submit()
    await world.drain()
    world.faults.plant(call, TransientError("Table Storage cannot be reached"))
    with pytest.raises(UnavailableError, match="cannot be reached"):
        await get_result(world.services, accepted.job_id)


async def listed(world: World, wanted: JobFilter = ANY, limit: int = 50) -> list[list[str]]:
    """The ids of every page."""
    pages, token = [], None
    while True:
        page = await list_jobs(world.services, wanted, limit, token)
        pages.append([job.job_id for job in page.jobs])
        token = page.next_page_token
        if token is None:
            return pages


async def over_hours(world: World, count: int) -> list[Job]:
    """Jobs, newest first, three an hour."""
    jobs: list[Job] = []
    for _ in range(count):
        jobs.append(await world.submit(priority="low" if len(jobs) % 2 else "high"))
        world.clock.advance(20 * 60)
    return jobs[::-1]


@pytest.mark.parametrize(("limit", "sizes"), [(4, [4, 4, 2]), (5, [5, 5]), (10, [10]), (11, [10]), (1, [1] * 10)])
async def test_pages_list_every_job_once_newest_first(world: World, limit: int, sizes: list[int]) -> None:
    jobs = await over_hours(world, 10)
    pages = await listed(world, limit=limit)
    assert [len(page) for page in pages] == sizes
    assert [job_id for page in pages for job_id in page] == [job.job_id for job in jobs]


async def test_a_filter_leaves_out_the_others(world: World) -> None:
    jobs = await over_hours(world, 6)
    low = [job.job_id for job in jobs if job.priority is Priority.LOW]
    assert await listed(world, JobFilter(priority=Priority.LOW), limit=2) == [low[:2], low[2:]]
    assert await listed(world, JobFilter(state=S.COMPLETED)) == [[]]


async def test_jobs_that_come_while_one_pages_do_not_shift_the_pages(world: World) -> None:
    jobs = await over_hours(world, 4)
    first = await list_jobs(world.services, ANY, 2, None)
    await world.submit()
    second = await list_jobs(world.services, ANY, 2, first.next_page_token)
    assert [job.job_id for job in (*first.jobs, *second.jobs)] == [job.job_id for job in jobs]


@pytest.mark.parametrize("token", ["", "x", "nope", "bm9wZQ", "%%%", "\u00e9"])
async def test_a_token_that_was_not_given_out_is_refused(world: World, token: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await list_jobs(world.services, ANY, 10, token)
    assert caught.value.errors[0][0] == "page_token"
