"""Running a job: what each way to end an attempt leaves behind."""

from __future__ import annotations

import asyncio
import math
import threading
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.jobs import JobCancelled, JobContext, PermanentError, RetryableError, SnoozeJob
from shared.jobs.messages import NEWER_MESSAGE_WAIT
from shared.jobs.model import JobState, Priority, ResultDocument
from shared.jobs.states import change
from shared.service import running
from shared.service.ports import PreconditionFailedError, TransientError
from shared.service.run import MAX_RESULT, run_message
from tests.unit.service.world import LEASE_SECONDS, RETRY, Work, World

S = JobState


async def test_a_job_runs_and_its_result_is_written_before_its_row_says_so(world: World) -> None:
    async def work(payload: Work, job: JobContext) -> Any:
        assert world.row(accepted).state is S.RUNNING
        assert world.row(accepted).lease_until == world.clock.now + timedelta(seconds=LEASE_SECONDS)
        return {"echo": payload.note}

    world.handler = work
    accepted = await world.submit(payload={"note": "hi"}, tags=["a"])
    writes_before = len(world.status.writes)
    world.faults.plant("results.get", AssertionError("a claim needs no read"))
    world.faults.plant("status.get", AssertionError("a claim needs no read"))
    await world.deliver()

    row = world.row(accepted)
    assert (row.state, row.attempt, row.progress, row.fence, row.owner) == (S.COMPLETED, 1, 100, 1, "one")
    assert (row.started_at, row.finished_at, row.lease_until) == (world.clock.now, world.clock.now, None)
    assert (row.payload, row.tags) == ({"note": "hi"}, ("a",))
    assert world.outcomes(accepted) == [(1, "completed")]
    document = world.results.documents[row.job_id]
    assert (document.result, document.job) == ({"echo": "hi"}, row)
    assert [write.after.job.state for write in world.status.writes[writes_before:] if write.after] == [
        S.RUNNING,
        S.COMPLETED,
    ]
    assert world.notifier.states(row.job_id) == [S.QUEUED, S.RUNNING, S.COMPLETED]
    assert world.queue.waiting == []


async def test_the_row_never_says_completed_without_a_result(world: World) -> None:
    accepted = await world.submit()
    world.faults.plant("results.put", TransientError("Cosmos is away"))
    await world.deliver()
    assert world.row(accepted).state is S.RUNNING


async def test_a_sync_handler_runs_beside_the_loop(world: World) -> None:
    threads: list[int] = []

    def work(payload: Work, job: JobContext) -> Any:
        job.progress(50, "half")
        threads.append(threading.get_ident())
        return payload.note

    world.sync_handler = work
    accepted = await world.submit("sync_work", payload={"note": 7})
    await world.deliver()
    assert world.row(accepted).state is S.COMPLETED
    assert [entry.progress for entry in world.row(accepted).timeline] == [50, 100]
    assert threads != [threading.get_ident()]


async def test_a_retryable_error_is_tried_again_until_the_limit_and_then_fails(world: World) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        raise RetryableError(f"no {job.attempt}", code="busy")

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    row = world.row(accepted)
    assert (row.state, row.attempt, row.lease_until) == (S.RETRYING, 1, None)
    assert row.error is not None
    assert row.error.message == "no 1"
    assert timedelta(0) <= row.run_at - world.clock.now <= timedelta(seconds=RETRY.ceiling(1))
    (waiting,) = world.queue.waiting
    assert (waiting.message.attempt, waiting.due) == (2, row.run_at)

    await world.drain()
    row = world.row(accepted)
    assert (row.state, row.attempt, row.finished_at) == (S.FAILED, 3, world.clock.now)
    assert world.calls[row.job_id] == [1, 2, 3]
    assert world.outcomes(accepted) == [(1, "failed"), (2, "failed"), (3, "failed")]
    assert world.dead_letters() == [("busy", row.job_id, S.FAILED)]
    assert world.results.documents[row.job_id].job == row


async def test_a_job_without_retries_fails_at_once(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        raise RetryableError("no")

    world.handler = work
    accepted = await world.submit(max_retries=0)
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.FAILED, [1])


async def test_a_later_attempt_that_succeeds_clears_the_error(world: World) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        if job.attempt == 1:
            raise ValueError("unforeseen")
        return "done"

    world.handler = work
    accepted = await world.submit()
    await world.drain()
    row = world.row(accepted)
    assert (row.state, row.error, row.attempt) == (S.COMPLETED, None, 2)
    assert world.outcomes(accepted) == [(1, "failed"), (2, "completed")]
    assert world.queue.dead == []


async def test_a_permanent_error_is_not_tried_again(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        raise PermanentError("never", code="gone")

    world.handler = work
    accepted = await world.submit()
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.FAILED, [1])
    assert world.dead_letters() == [("gone", accepted.job_id, S.FAILED)]


@pytest.mark.parametrize("after", [100.0, 1e30])
async def test_the_next_attempt_waits_as_long_as_the_provider_asks(world: World, after: float) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        raise RetryableError("slow down", after=after)

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    assert world.row(accepted).run_at == world.clock.now + timedelta(seconds=min(after, 3600))


@pytest.mark.parametrize(("seconds", "waits"), [(90, 90), (-3, 0), (math.nan, 0), (math.inf, 366 * 86400)])
async def test_a_snooze_waits_without_burning_an_attempt(world: World, seconds: float, waits: float) -> None:
    snoozes = iter([seconds])

    async def work(_: Work, __: JobContext) -> Any:
        for each in snoozes:
            raise SnoozeJob(each)
        return "rested"

    world.handler = work
    accepted = await world.submit(max_retries=0)
    await world.deliver()
    row = world.row(accepted)
    assert (row.state, row.attempt, row.run_at) == (S.SCHEDULED, 0, world.clock.now + timedelta(seconds=waits))
    assert row.attempts == ()
    await world.drain()
    assert world.row(accepted).state is S.COMPLETED
    assert world.calls[accepted.job_id] == [1, 1]


async def overdue(world: World, job_type: str) -> None:
    """Run a job with 50 ms to do what takes longer."""
    accepted = await world.submit(job_type)
    message = world.queue.waiting[0].message
    short = await world.touch(accepted, timeout_seconds=0.05)
    message = msgspec.structs.replace(message, job=short.job, etag=short.etag)
    await world.deliver_body(message)
    row = world.row(accepted)
    assert (row.state, row.attempt) == (S.RETRYING, 1)
    assert world.outcomes(accepted) == [(1, "timed_out")]
    assert row.error is not None
    assert (row.error.code, row.error.message) == ("timeout", "The attempt exceeded its 0.05 s.")


async def test_an_async_handler_that_takes_too_long_is_stopped(world: World) -> None:
    stopped = asyncio.Event()

    async def work(_: Work, __: JobContext) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    world.handler = work
    await overdue(world, "work")
    assert stopped.is_set()


async def test_a_sync_handler_that_takes_too_long_is_left_and_refused_at_its_next_report(world: World) -> None:
    go_on, over = threading.Event(), threading.Event()
    raised: list[str] = []

    def work(_: Work, job: JobContext) -> Any:
        go_on.wait(10)
        try:
            job.progress(99, "too late")
        except RetryableError as exc:
            raised.append(exc.code)
        over.set()

    world.sync_handler = work
    await overdue(world, "sync_work")
    go_on.set()
    assert await asyncio.to_thread(over.wait, 10)
    assert raised == ["timeout"]
    assert all(job.progress != 99 for job in world.notifier.published)


async def test_remaining_time_counts_down_from_the_timeout(world: World) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        return job.remaining_seconds()

    world.handler = work
    accepted = await world.submit(timeout_seconds=30)
    await world.deliver()
    assert 25 < world.results.documents[accepted.job_id].result <= 30


async def test_every_report_is_in_the_timeline_though_few_are_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        for percent in range(100):
            job.progress(percent, f"step {percent}")

    world.handler = work
    accepted = await world.submit()
    before = len(world.status.writes)
    await world.deliver()
    row = world.row(accepted)
    assert [(each.progress, each.message) for each in row.timeline[:100]] == [(n, f"step {n}") for n in range(100)]
    assert len(world.status.writes) - before <= 4


async def test_a_report_out_of_bounds_is_put_within(world: World) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        job.progress(-5)
        job.progress(400, "x" * 1000)

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    reports = [(each.progress, len(each.message)) for each in world.row(accepted).timeline]
    assert reports[:2] == [(0, 0), (100, running.MAX_MESSAGE)]


async def test_a_handler_that_reports_without_end_keeps_the_first_and_the_newest(world: World) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        for number in range(3000):
            job.progress(number // 30, str(number))

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    messages = [each.message for each in world.row(accepted).timeline]
    assert len(messages) <= running.MAX_TIMELINE + 1
    assert messages[:3] == ["0", "1", "2"]
    assert messages[-3:] == ["2998", "2999", "Completed"]


async def test_a_history_too_long_for_a_message_stays_with_the_row(world: World) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        for number in range(1000):
            job.progress(number // 10, f"{number:0200}")
        raise RetryableError("x" * 2000)

    world.handler = work
    accepted = await world.submit(max_retries=2)
    await world.drain()
    row = world.row(accepted)
    assert (row.state, world.calls[row.job_id]) == (S.FAILED, [1, 2, 3])
    assert [attempt.attempt for attempt in row.attempts] == [1, 2, 3]
    assert row.timeline[0].message == f"{0:0200}"
    assert row.timeline[-1].message == f"{999:0200}"
    assert world.results.documents[row.job_id].job == row
    assert world.dead_letters() == [("handler_error", row.job_id, S.FAILED)]


async def test_a_cancel_request_is_noticed_at_a_progress_call(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "WRITE_INTERVAL", 0)

    async def work(_: Work, job: JobContext) -> Any:
        job.progress(10)
        await world.touch(accepted, cancel_requested=True)
        async with asyncio.timeout(10):
            while True:
                job.progress(20)
                await asyncio.sleep(0)

    world.handler = work
    accepted = await world.submit()
    await world.drain()
    row = world.row(accepted)
    assert (row.state, world.calls[row.job_id]) == (S.CANCELLED, [1])
    assert world.outcomes(accepted) == [(1, "cancelled")]
    assert world.results.documents[row.job_id].job == row
    assert world.queue.dead == []


async def test_a_cancelled_job_that_failed_is_not_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "WRITE_INTERVAL", 0)

    async def work(_: Work, job: JobContext) -> Any:
        await world.touch(accepted, cancel_requested=True)
        try:
            async with asyncio.timeout(10):
                while True:
                    job.progress(20)
                    await asyncio.sleep(0)
        except JobCancelled:
            raise RetryableError("gave up") from None

    world.handler = work
    accepted = await world.submit()
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.CANCELLED, [1])


@pytest.mark.parametrize(("races", "state"), [(1, S.CANCELLED), (4, S.CANCELLED), (5, S.RUNNING)])
async def test_a_row_that_changes_while_it_takes_on_a_result_that_was_there_is_looked_at_again(
    world: World, races: int, state: S
) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        row = world.row(accepted)
        ended = change(row, S.CANCELLED, updated_at=row.updated_at, finished_at=row.updated_at, lease_until=None)
        world.results.documents[row.job_id] = ResultDocument(job=ended)
        world.faults.plant("results.put", PreconditionFailedError(row.job_id))
        world.faults.plant("status.update", PreconditionFailedError(row.job_id), times=races)

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    assert world.row(accepted).state is state


async def test_a_job_cancelled_between_its_attempts_is_not_run(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        raise RetryableError("no")

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    await world.touch(accepted, cancel_requested=True)
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.CANCELLED, [1])


async def test_the_lease_is_renewed_while_the_handler_is_silent() -> None:
    world = World(lease_seconds=1)

    async def work(_: Work, __: JobContext) -> Any:
        held_until = world.row(accepted).lease_until
        world.clock.advance(0.9)
        async with asyncio.timeout(10):
            while world.row(accepted).lease_until == held_until:  # noqa: ASYNC110 - a row has no event
                await asyncio.sleep(0.01)
        return world.row(accepted).lease_until == world.clock.now + timedelta(seconds=1)

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    assert world.results.documents[accepted.job_id].result is True


async def test_an_instance_that_stops_gives_the_attempt_back(world: World) -> None:
    started = asyncio.Event()

    async def work(_: Work, __: JobContext) -> Any:
        started.set()
        await asyncio.Event().wait()

    world.handler = work
    accepted = await world.submit(max_retries=0)
    message = world.queue.receive()
    assert message is not None
    invocation = asyncio.create_task(run_message(world.services, message.priority, message.body, message.message_id))
    await started.wait()
    invocation.cancel()
    with pytest.raises(asyncio.CancelledError):
        await invocation
    row = world.row(accepted)
    assert (row.state, row.attempt, row.lease_until, row.attempts) == (S.QUEUED, 0, None, ())

    async def quick(_: Work, __: JobContext) -> Any:
        return "second time"

    world.handler = quick
    world.queue.abandon(message)
    await world.deliver(world.instance("two"))
    assert (world.row(accepted).state, world.row(accepted).owner) == (S.COMPLETED, "two")
    assert world.calls[accepted.job_id] == [1, 1]


@pytest.mark.parametrize("call", ["status.update", "results.put"])
@pytest.mark.parametrize("after", [False, True], ids=["not done", "done but unanswered"])
async def test_a_store_that_does_not_answer_postpones_the_job(world: World, call: str, after: bool) -> None:
    accepted = await world.submit()
    world.faults.plant(call, TransientError("away", unknown_outcome=after), after=after)
    await world.deliver()
    (copy,) = world.queue.waiting
    assert copy.message_id != f"{accepted.job_id}:1:1"
    assert timedelta(seconds=5) <= copy.due - world.clock.now <= timedelta(seconds=15)
    await world.drain()
    assert world.row(accepted).state is S.COMPLETED
    assert len(world.results.documents) == 1
    assert world.results.puts == {accepted.job_id: 1}


async def test_a_message_comes_again_when_not_even_a_copy_can_be_sent(world: World) -> None:
    accepted = await world.submit()
    world.faults.plant("status.update", TransientError("table away"))
    world.faults.plant("queue.send", TransientError("broker away"))
    await world.deliver()
    assert [each.message_id for each in world.queue.waiting] == [f"{accepted.job_id}:1:1"]
    await world.drain()
    assert world.row(accepted).state is S.COMPLETED


async def test_a_message_that_cannot_be_read_goes_to_the_dead_letters(world: World) -> None:
    await run_message(world.services, Priority.LOW, b"\xffnot a message", "m-1")
    (dead,) = world.queue.dead
    assert (dead.body, dead.reason) == (b"\xffnot a message", "undecodable_message")
    assert "malformed" in dead.description


async def test_a_message_of_a_newer_release_waits_for_an_instance_that_reads_it(world: World) -> None:
    """Whatever else has changed in it: nothing but its version is read."""
    body = b'{"version": 2, "job": "no longer a structure", "more": []}'
    await run_message(world.services, Priority.HIGH, body, "m-1")
    (back,) = world.queue.waiting
    assert (back.body, back.priority, back.due) == (body, Priority.HIGH, world.clock.now + NEWER_MESSAGE_WAIT)
    assert back.message_id != "m-1", "duplicate detection would drop it"
    assert (world.queue.dead, world.calls) == ([], {})


async def test_a_job_type_that_this_instance_does_not_know_is_tried_again(world: World) -> None:
    accepted = await world.submit()
    older = msgspec.structs.replace(world.queue.waiting[0].message.job, job_type="newer")
    message = msgspec.structs.replace(world.queue.waiting[0].message, job=older)
    await world.deliver_body(message)
    row = world.row(accepted)
    assert row.state is S.RETRYING
    assert row.error is not None
    assert row.error.code == "unknown_job_type"


async def test_a_payload_that_the_handler_no_longer_takes_fails_for_good(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting[0].message
    message = msgspec.structs.replace(message, job=msgspec.structs.replace(message.job, payload={"old": 1}))
    await world.deliver_body(message)
    row = world.row(accepted)
    assert row.state is S.FAILED
    assert row.error is not None
    assert row.error.code == "invalid_payload"


@pytest.mark.parametrize(
    ("value", "code"), [(object(), "invalid_result"), ("x" * MAX_RESULT, "result_too_large"), ({1: {2}}, None)]
)
async def test_a_result_that_cannot_be_kept_fails_for_good(world: World, value: Any, code: str | None) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        return value

    world.handler = work
    accepted = await world.submit()
    await world.drain()
    row = world.row(accepted)
    if code is None:
        assert row.state is S.COMPLETED
        assert world.results.documents[row.job_id].result == {"1": [2]}
    else:
        assert row.state is S.FAILED
        assert row.error is not None
        assert row.error.code == code
        assert world.calls[row.job_id] == [1]


async def test_a_number_that_json_has_not_is_kept_as_null(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        return {"ratio": math.nan}

    world.handler = work
    put: list[Any] = []

    async def remember(document: Any) -> None:
        put.append(document.result)

    world.results.put = remember  # type: ignore[method-assign]
    await world.submit()
    await world.deliver()
    assert put == [{"ratio": None}]


async def test_the_idempotency_key_is_that_of_the_run(world: World) -> None:
    keys: list[str] = []

    async def work(_: Work, job: JobContext) -> Any:
        keys.append(job.idempotency_key)
        if job.attempt == 1:
            raise RetryableError("again")

    world.handler = work
    accepted = await world.submit(priority="low")
    assert accepted.priority is Priority.LOW
    await world.drain()
    assert keys == [f"{accepted.job_id}:1"] * 2
