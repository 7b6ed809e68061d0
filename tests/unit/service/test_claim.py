"""Who runs a job: leases, take-overs, crashes and what a table lost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.jobs import JobContext, RetryableError, SnoozeJob
from shared.jobs.model import Job, JobMessage, JobState, ResultDocument
from shared.service.claim import MAX_LOST
from shared.service.ports import PreconditionFailedError, TransientError
from shared.service.repair import GRACE, Repaired, repair
from tests.fakes import Crash
from tests.unit.service.world import LEASE_SECONDS, Work, World

S = JobState
LEASE = timedelta(seconds=LEASE_SECONDS)


async def crash_in_handler(world: World, **fields: Any) -> Job:
    """Submit a job whose owner dies while the handler runs; what runs it next succeeds."""
    normal = world.handler

    async def work(_: Work, __: JobContext) -> Any:
        world.handler = normal
        raise Crash

    world.handler = work
    accepted = await world.submit(**fields)
    await world.deliver()
    assert world.row(accepted).state is S.RUNNING
    return accepted


async def test_a_rival_of_a_live_lease_comes_back_after_it_without_burning_an_attempt(world: World) -> None:
    accepted = await crash_in_handler(world)
    world.clock.advance(10)
    await world.deliver(world.instance("two"))
    row = world.row(accepted)
    assert (row.owner, row.attempt, row.fence, world.calls[row.job_id]) == ("one", 1, 1, [1])
    assert row.lease_until is not None
    (copy,) = world.queue.waiting
    assert copy.due > row.lease_until
    assert copy.message.attempt == 1


async def test_a_queued_job_is_due_though_its_submitters_clock_runs_ahead(world: World) -> None:
    accepted = await world.submit()
    ahead = accepted.run_at + timedelta(minutes=5)
    found = world.status.row(accepted.job_id)
    assert found is not None
    await world.status.update(found.job, msgspec.structs.replace(found.job, run_at=ahead), found.etag)
    await world.deliver()
    assert world.row(accepted).state is S.COMPLETED


async def test_a_dead_owners_job_is_taken_over_and_its_attempt_recorded_as_lost(world: World) -> None:
    accepted = await crash_in_handler(world)
    world.clock.advance(LEASE_SECONDS + 1)
    await world.deliver(world.instance("two"))
    row = world.row(accepted)
    assert (row.state, row.owner, row.attempt, row.fence) == (S.COMPLETED, "two", 1, 2)
    assert world.outcomes(accepted) == [(1, "lost"), (1, "completed")]
    lost = row.attempts[0].error
    assert lost is not None
    assert (lost.code, lost.retryable) == ("owner_lost", True)
    assert "one stopped renewing its lease" in lost.message


async def test_after_a_crash_behind_the_result_the_bookkeeping_is_finished_and_nothing_run_again(world: World) -> None:
    accepted = await world.submit(payload={"note": "kept"})
    world.faults.plant("status.update", Crash(), skip=1)  # the claim succeeds, the last write does not
    await world.deliver()
    assert world.row(accepted).state is S.RUNNING
    world.clock.advance(LEASE_SECONDS + 1)
    await world.deliver(world.instance("two"))
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1])
    assert world.row(accepted) == world.results.documents[accepted.job_id].job
    assert world.notifier.states(accepted.job_id)[-1] is S.COMPLETED
    assert world.queue.waiting == []


async def test_after_a_crash_behind_a_failures_result_its_dead_letter_is_sent(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        raise RetryableError("no", code="busy")

    world.handler = work
    accepted = await world.submit(max_retries=0)
    world.faults.plant("queue.send_dead", Crash())
    await world.deliver()
    assert world.queue.dead == []
    world.clock.advance(LEASE_SECONDS + 1)
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.FAILED, [1])
    assert world.dead_letters() == [("busy", accepted.job_id, S.FAILED)]


async def test_a_crash_before_the_next_attempts_message_does_not_lose_it(world: World) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        if job.attempt == 1:
            raise RetryableError("again")

    world.handler = work
    accepted = await world.submit()
    world.faults.plant("queue.send", Crash())
    await world.deliver()
    assert world.row(accepted).state is S.RETRYING
    assert [each.message.attempt for each in world.queue.waiting] == [1]
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1, 2])


async def test_a_crash_before_a_snoozes_message_keeps_to_the_snooze(world: World) -> None:
    snoozes = iter([100])

    async def work(_: Work, __: JobContext) -> Any:
        for seconds in snoozes:
            raise SnoozeJob(seconds)

    world.handler = work
    accepted = await world.submit()
    started = world.clock.now
    world.faults.plant("queue.send", Crash())
    await world.deliver()
    await world.deliver()
    assert [each.due for each in world.queue.waiting] == [started + timedelta(seconds=100)]
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1, 1])


async def test_a_duplicate_of_a_finished_jobs_message_does_nothing(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting[0]
    await world.drain()
    done = world.row(accepted)
    world.queue.waiting.append(message)
    await world.drain()
    assert (world.row(accepted), world.calls[accepted.job_id]) == (done, [1])


async def test_two_deliveries_at_once_run_the_job_once(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        world.handler = _never
        await world.deliver(world.instance("two"))
        return "once"

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1])


async def _never(_: Work, __: JobContext) -> Any:
    raise AssertionError("run twice")


async def test_a_row_that_somebody_touched_is_claimed_with_its_new_etag(world: World) -> None:
    accepted = await world.submit()
    await world.touch(accepted, message="looked at")
    await world.deliver()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1])


async def test_a_row_touched_between_every_look_and_claim_makes_the_message_come_back(world: World) -> None:
    accepted = await world.submit()
    world.faults.plant("status.update", PreconditionFailedError(), times=6)
    await world.deliver()
    assert world.row(accepted).state is S.QUEUED
    assert [each.message.attempt for each in world.queue.waiting] == [1]
    await world.drain()
    assert world.row(accepted).state is S.COMPLETED


async def test_a_stale_owner_neither_writes_its_result_nor_the_row(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        if len(world.calls[accepted.job_id]) > 1:
            return "of the new owner"
        world.clock.advance(LEASE_SECONDS + 1)  # its process was frozen
        await world.deliver(world.instance("two"))
        return "of the stale owner"

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    row = world.row(accepted)
    assert (row.state, row.owner, row.fence) == (S.COMPLETED, "two", 2)
    assert world.results.documents[row.job_id].result == "of the new owner"
    assert world.results.documents[row.job_id].job == row


async def test_a_stale_owners_result_does_not_count_for_the_new_owners_attempt(world: World) -> None:
    """The stale one finishes while the new one still runs: its document is there, but its fence is lower."""

    async def work(_: Work, __: JobContext) -> Any:
        if len(world.calls[accepted.job_id]) > 1:
            await world.results.put(ResultDocument(job=stale, result="stale"))
            raise RetryableError("the new owner fails")
        world.clock.advance(LEASE_SECONDS + 1)
        await world.deliver(world.instance("two"))
        raise Crash

    world.handler = work
    accepted = await world.submit()
    stale = msgspec.structs.replace(accepted, state=S.COMPLETED, attempt=1, fence=1, owner="one")
    await world.deliver()
    row = world.row(accepted)
    assert (row.state, row.fence) == (S.RETRYING, 2)
    await world.drain()
    assert world.row(accepted).state is S.FAILED
    assert world.results.documents[row.job_id].job == world.row(accepted)


async def test_a_handler_that_was_taken_over_hears_of_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.service.running.WRITE_INTERVAL", 0)
    heard: list[str] = []

    async def work(_: Work, job: JobContext) -> Any:
        if len(world.calls[accepted.job_id]) > 1:
            return "of the new owner"
        world.clock.advance(LEASE_SECONDS + 1)
        await world.deliver(world.instance("two"))
        try:
            for _reports in range(10_000):
                job.progress(50)
                await world.status.hours("default")  # lets the writer run
        except Exception as exc:
            heard.append(type(exc).__name__)
            raise
        return "never"

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    assert heard == ["LeaseLost"]
    assert world.row(accepted).owner == "two"


async def test_a_row_that_the_table_lost_is_made_again_from_the_message(world: World) -> None:
    accepted = await world.submit(payload={"note": "back"}, tags=["t"])
    world.status.lose_writes(1)
    await world.deliver()
    row = world.row(accepted)
    assert (row.state, row.payload, row.tags) == (S.COMPLETED, {"note": "back"}, ("t",))


async def test_a_finished_row_that_the_table_lost_is_made_again_from_the_result(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting[0]
    await world.drain()
    done = world.row(accepted)
    world.status.lose_writes(3)
    world.queue.waiting.append(message)
    await world.drain()
    assert (world.row(accepted), world.calls[accepted.job_id]) == (done, [1])


async def test_a_row_that_the_table_loses_under_its_owner_is_written_anew(world: World) -> None:
    async def work(payload: Work, __: JobContext) -> Any:
        world.status.lose_writes(2)
        return payload.note

    world.handler = work
    accepted = await world.submit(payload={"note": 5})
    await world.deliver()
    assert (world.row(accepted).state, world.row(accepted).payload) == (S.COMPLETED, {"note": 5})


async def test_an_ending_that_the_table_lost_is_found_in_the_result(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting[0]
    await world.drain()
    world.status.lose_writes(1)  # the row says running again
    world.queue.waiting.append(message)
    world.clock.advance(LEASE_SECONDS + 1)
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1])


async def test_a_rerun_after_lost_writes_never_contradicts_the_stored_result(world: World) -> None:
    """The message comes again to the same instance, and the row is as the message says, for the table forgot."""
    accepted = await world.submit(payload={"note": "first"}, max_retries=0)
    message = world.queue.waiting[0]
    await world.drain()
    world.status.lose_writes(2)

    async def work(_: Work, __: JobContext) -> Any:
        raise RetryableError("a second run that goes wrong")

    world.handler = work
    world.queue.waiting.append(message)
    await world.drain()
    stored = world.results.documents[accepted.job_id]
    assert (stored.result, stored.job.state) == ("first", S.COMPLETED)
    assert world.row(accepted) == stored.job


async def test_the_message_of_an_older_run_is_dropped(world: World) -> None:
    accepted = await world.submit()
    await world.touch(accepted, run=2, state=S.COMPLETED)
    await world.drain()
    assert (world.row(accepted).run, world.calls) == (2, {})


async def test_the_message_of_a_newer_run_goes_before_a_row_that_the_table_set_back(world: World) -> None:
    accepted = await world.submit()
    await world.drain()
    ended = world.row(accepted)
    again = msgspec.structs.replace(accepted, run=2, fence=ended.fence)
    await world.touch(accepted, state=S.FAILED)
    await world.deliver_body(JobMessage(job=again, attempt=1, etag="gone"))
    row = world.row(accepted)
    assert (row.run, row.state, world.calls[row.job_id]) == (2, S.COMPLETED, [1, 1])


async def test_a_claim_that_the_table_does_not_answer_is_postponed_not_lost(world: World) -> None:
    accepted = await world.submit()
    world.faults.plant("status.update", TransientError("slow", unknown_outcome=True), after=True)
    await world.deliver()
    assert world.row(accepted).state is S.RUNNING  # the claim was written all the same
    await world.drain()
    assert world.row(accepted).state is S.COMPLETED
    assert world.calls[accepted.job_id] == [1]


async def test_a_redelivered_message_does_not_run_again_what_the_table_forgot(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting[0]
    writes = len(world.status.writes)
    await world.deliver()
    world.status.lose_writes(len(world.status.writes) - writes)
    assert world.row(accepted).state is S.QUEUED
    world.queue.waiting.append(message)
    await world.deliver()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1])


async def test_a_job_that_kills_every_owner_is_given_up_though_its_copies_begin_anew(world: World) -> None:
    async def crash(_: Work, __: JobContext) -> Any:
        raise Crash

    world.handler = crash
    accepted = await world.submit()
    for _ in range(50):
        if world.queue.poison:
            break
        due = min(message.due for message in world.queue.waiting)
        world.clock.now = max(world.clock.now, due)
        await world.deliver()
    await world.bury_poison()
    assert world.row(accepted).state is S.FAILED
    assert [reason for reason, *_ in world.dead_letters()] == ["delivery_exhausted"]
    assert len(world.calls[accepted.job_id]) == MAX_LOST + 1


async def test_the_janitor_hands_a_dead_owners_job_on_once_not_every_minute(world: World) -> None:
    await crash_in_handler(world)
    world.queue.waiting.clear()
    world.clock.advance(LEASE_SECONDS + GRACE.total_seconds() + 1)
    assert await repair(world.services) == Repaired(taken_over=1)
    for _ in range(3):
        world.clock.advance(60)
        assert await repair(world.services) == Repaired()
    assert len(world.queue.waiting) == 1
