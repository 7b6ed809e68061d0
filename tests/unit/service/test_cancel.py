"""Cancelling a job in each of its states, and who wins a race."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.errors import AlreadyFinishedError, JobNotFoundError, UnavailableError
from shared.jobs import JobContext, RetryableError, SnoozeJob
from shared.jobs.model import JobState
from shared.service import running
from shared.service.cancel import cancel_job
from shared.service.ports import PreconditionFailedError, TransientError
from tests.unit.service.world import Work, World

S = JobState


@pytest.mark.parametrize("fields", [{}, {"delay_seconds": 60}], ids=["queued", "scheduled"])
async def test_a_waiting_job_is_cancelled_at_once_and_its_message_does_no_harm(
    world: World, fields: dict[str, Any]
) -> None:
    accepted = await world.submit(**fields)
    assert (await cancel_job(world.services, accepted.job_id)).state is S.CANCELLED
    await world.drain()
    assert world.row(accepted).state is S.CANCELLED
    assert world.calls == {}
    assert world.results.documents[accepted.job_id].job.state is S.CANCELLED


@pytest.mark.parametrize("lost", [1, 2], ids=["its end", "its whole row"])
async def test_a_cancelled_job_stays_cancelled_even_when_the_table_forgets_it(world: World, lost: int) -> None:
    accepted = await world.submit()
    await cancel_job(world.services, accepted.job_id)
    world.status.lose_writes(lost)
    await world.drain()
    assert world.row(accepted).state is S.CANCELLED
    assert world.results.documents[accepted.job_id].job.state is S.CANCELLED


async def test_a_job_whose_end_the_table_forgot_is_not_cancelled(world: World) -> None:
    accepted = await world.submit()
    await world.drain()
    world.status.lose_writes(2)
    assert world.row(accepted).state is S.QUEUED
    with pytest.raises(AlreadyFinishedError, match="completed"):
        await cancel_job(world.services, accepted.job_id)
    assert world.row(accepted).state is S.COMPLETED


async def test_a_retrying_job_is_cancelled_at_once(world: World) -> None:
    async def fail(_: Work, __: JobContext) -> Any:
        raise RetryableError("not yet")

    world.handler = fail
    accepted = await world.submit()
    await world.deliver()
    assert world.row(accepted).state is S.RETRYING
    assert (await cancel_job(world.services, accepted.job_id)).state is S.CANCELLED
    await world.drain()
    assert world.calls[accepted.job_id] == [1]
    assert world.outcomes(accepted) == [(1, "failed")]


async def test_a_running_job_is_asked_and_gives_way_at_its_next_report(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "WRITE_INTERVAL", 0)

    async def report_until_cancelled(_: Work, job: JobContext) -> Any:
        answer = await cancel_job(world.services, job.job_id)
        assert (answer.state, answer.cancel_requested) == (S.RUNNING, True)
        async with asyncio.timeout(5):
            while True:
                job.progress(50, "still here")
                await asyncio.sleep(0)

    world.handler = report_until_cancelled
    accepted = await world.submit()
    await world.deliver()
    assert world.row(accepted).state is S.CANCELLED
    assert world.outcomes(accepted) == [(1, "cancelled")]


async def test_a_running_job_that_finishes_first_is_completed(world: World) -> None:
    async def cancel_and_return(_: Work, job: JobContext) -> Any:
        await cancel_job(world.services, job.job_id)
        return "done"

    world.handler = cancel_and_return
    accepted = await world.submit()
    await world.deliver()
    assert world.row(accepted).state is S.COMPLETED
    assert world.results.documents[accepted.job_id].result == "done"


@pytest.mark.parametrize("how", [RetryableError("no"), SnoozeJob(60)], ids=["retry", "snooze"])
async def test_a_job_that_was_asked_to_stop_does_not_wait_for_another_attempt(world: World, how: Exception) -> None:
    async def cancel_and_raise(_: Work, job: JobContext) -> Any:
        await cancel_job(world.services, job.job_id)
        raise how

    world.handler = cancel_and_raise
    accepted = await world.submit()
    await world.deliver()
    assert world.row(accepted).state is S.CANCELLED
    await world.drain()
    assert world.calls[accepted.job_id] == [1]


async def test_an_ended_job_is_not_cancelled(world: World) -> None:
    accepted = await world.submit()
    await world.deliver()
    with pytest.raises(AlreadyFinishedError):
        await cancel_job(world.services, accepted.job_id)
    assert world.row(accepted).state is S.COMPLETED


@pytest.mark.parametrize("job_id", ["nonsense", "01a20072-bb2f-7fdf-9934-ae7f9201de6e"])
async def test_an_unknown_job_is_not_found(world: World, job_id: str) -> None:
    with pytest.raises(JobNotFoundError):
        await cancel_job(world.services, job_id)


async def test_a_lost_race_is_looked_at_again(world: World) -> None:
    accepted = await world.submit()
    world.faults.plant("status.update", PreconditionFailedError("claimed in between"))
    assert (await cancel_job(world.services, accepted.job_id)).state is S.CANCELLED


async def test_without_the_table_nothing_is_cancelled(world: World) -> None:
    accepted = await world.submit()
    world.faults.plant("status.update", TransientError("away"))
    with pytest.raises(UnavailableError):
        await cancel_job(world.services, accepted.job_id)
    assert world.row(accepted).state is S.QUEUED


async def test_without_the_result_store_nothing_is_cancelled(world: World) -> None:
    accepted = await world.submit()
    world.faults.plant("results.put", TransientError("away"))
    with pytest.raises(UnavailableError):
        await cancel_job(world.services, accepted.job_id)
    assert world.row(accepted).state is S.QUEUED


async def test_a_claim_between_the_two_writes_of_a_cancel_ends_cancelled(world: World) -> None:
    async def fail_once(_: Work, job: JobContext) -> Any:
        if job.attempt == 1:
            raise RetryableError("again")
        return "done"

    world.handler = fail_once
    accepted = await world.submit()
    world.faults.plant("status.update", TransientError("no answer"))
    with pytest.raises(UnavailableError):
        await cancel_job(world.services, accepted.job_id)
    await world.drain()
    assert (world.row(accepted).state, world.results.documents[accepted.job_id].result) == (S.CANCELLED, None)
