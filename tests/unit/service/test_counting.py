"""What the use cases count: each job once when it is accepted and once when it ends, whoever writes its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from shared.jobs import JobContext
from shared.jobs.outcomes import PermanentError, RetryableError, SnoozeJob
from shared.service.cancel import cancel_job
from shared.service.metrics import COUNTER, totals
from shared.service.ports import PreconditionFailedError, TransientError
from shared.service.repair import repair
from shared.service.replay import retry_job
from shared.service.submit import submit, submit_batch
from tests.fakes import Crash
from tests.unit.service.world import LEASE_SECONDS, TRACE, Work, World


async def counted(world: World) -> dict[str, int]:
    """What was counted of all jobs, nothings left out."""
    await world.services.metrics.flush()
    sums: dict[str, int] = {}
    for _, _, events in totals(await world.records.list(COUNTER)).events():
        for event, count in events.items():
            sums[event] = sums.get(event, 0) + count
    return {event: count for event, count in sums.items() if count}


async def raising(error: BaseException, payload: Work, job: JobContext) -> Any:
    raise error


async def test_a_job_that_completes(world: World) -> None:
    await world.submit()
    await world.deliver()
    assert await counted(world) == {"submitted": 1, "processed": 1, "completed": 1}


async def test_each_accepted_job_of_a_batch_counts_and_no_other(world: World) -> None:
    await submit_batch(
        world.services, {"jobs": [{"job_type": "work"}, {"job_type": "nope"}, {"job_type": "work"}]}, TRACE
    )
    assert await counted(world) == {"submitted": 2}


async def test_a_repeated_request_does_not_count_again(world: World) -> None:
    for _ in range(2):
        await submit(world.services, {"job_type": "work"}, TRACE, "key")
    assert await counted(world) == {"submitted": 1}


@pytest.mark.parametrize(("unknown", "expected"), [(False, {}), (True, {"submitted": 1})])
async def test_a_refused_job_counts_only_where_it_may_run(
    world: World, unknown: bool, expected: dict[str, int]
) -> None:
    world.faults.plant("queue.send", TransientError("away", unknown_outcome=unknown))
    with pytest.raises(Exception, match="not accepted"):
        await world.submit()
    assert await counted(world) == expected


async def test_attempts_that_fail_are_processed_and_retried_until_the_job_is_dead(world: World) -> None:
    world.handler = lambda payload, job: raising(RetryableError("no"), payload, job)
    await world.submit(max_retries=2)
    await world.drain()
    assert await counted(world) == {"submitted": 1, "processed": 3, "retried": 2, "failed": 1, "dead": 1}


async def test_a_job_that_is_started_again_counts_again(world: World) -> None:
    world.handler = lambda payload, job: raising(PermanentError("no"), payload, job)
    job = await world.submit()
    await world.deliver()
    await retry_job(world.services, job.job_id)
    await world.deliver()
    assert await counted(world) == {"submitted": 2, "processed": 2, "failed": 2, "dead": 2}


async def test_a_snooze_is_no_attempt(world: World) -> None:
    async def snooze_once(payload: Work, job: JobContext) -> Any:
        if len(world.calls[job.job_id]) == 1:
            raise SnoozeJob(5)

    world.handler = snooze_once
    await world.submit()
    await world.drain()
    assert await counted(world) == {"submitted": 1, "processed": 1, "completed": 1}


async def test_a_job_that_is_cancelled_in_line_was_not_processed(world: World) -> None:
    job = await world.submit()
    await cancel_job(world.services, job.job_id)
    await world.drain()
    assert await counted(world) == {"submitted": 1, "cancelled": 1}


async def test_a_cancel_that_meets_a_failing_attempt_counts_both(world: World) -> None:
    async def cancelled_meanwhile(payload: Work, job: JobContext) -> Any:
        found = world.status.row(job.job_id)
        assert found is not None
        await world.touch(found.job, cancel_requested=True)
        raise RetryableError("no")

    world.handler = cancelled_meanwhile
    await world.submit()
    await world.deliver()
    assert await counted(world) == {"submitted": 1, "processed": 1, "retried": 1, "cancelled": 1}


async def test_whoever_finishes_what_a_dead_owner_wrote_counts_it(world: World) -> None:
    await world.submit()
    world.faults.plant("results.put", Crash(), after=True)
    await world.deliver()
    world.clock.advance(3600)
    await repair(world.services)
    await world.drain()
    assert await counted(world) == {"submitted": 1, "processed": 1, "completed": 1}


async def test_an_end_whose_answer_was_lost_counts(world: World) -> None:
    job = await world.submit()
    # As the SDK sees it, which tries again: the row is not the one that it last saw.
    world.faults.plant("status.update", PreconditionFailedError("written already"), after=True, skip=1)
    await world.deliver()
    assert world.row(job).state == "completed"
    assert await counted(world) == {"submitted": 1, "processed": 1, "completed": 1}


async def test_a_job_that_the_broker_gave_up_is_dead_and_was_not_processed(world: World) -> None:
    world.handler = lambda payload, job: raising(Crash(), payload, job)
    await world.submit()
    for _ in range(5):
        await world.deliver()
        world.clock.advance(LEASE_SECONDS + 1)
    await world.bury_poison()
    assert await counted(world) == {"submitted": 1, "failed": 1, "dead": 1}


async def test_waits_are_counted_for_each_attempt_from_when_it_was_due(world: World) -> None:
    await world.submit(delay_seconds=60)
    world.clock.advance(61.5)
    world.handler = lambda payload, job: raising(RetryableError("no"), payload, job)
    await world.deliver()
    (waiting,) = world.queue.waiting
    world.clock.now = waiting.due + timedelta(seconds=2)
    await world.deliver()
    await world.services.metrics.flush()
    (waits,) = totals(await world.records.list(COUNTER)).wait_times().values()
    assert (waits.count, waits.seconds) == (2, 3.5)
