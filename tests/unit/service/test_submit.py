"""Accepting jobs: what is promised, what is refused, and what is left behind when a service fails."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import (
    DtqError,
    IdempotencyConflictError,
    InvalidRequestError,
    PayloadTooLargeError,
    UnavailableError,
    UnknownJobTypeError,
)
from shared.jobs.model import Job, JobState, Priority
from shared.service.ports import ConflictError, TransientError
from shared.service.repair import repair
from shared.service.submit import Submitted, submit, submit_batch
from tests.fakes import Crash
from tests.unit.service.world import TRACE, World

S = JobState


async def test_an_accepted_job_is_stored_and_sent(world: World) -> None:
    accepted = await world.submit(payload={"note": 1}, tags=["a"], priority="high", timeout_seconds=5, max_retries=7)
    assert (accepted.state, accepted.priority, accepted.attempt) == (S.QUEUED, Priority.HIGH, 0)
    assert (accepted.max_attempts, accepted.timeout_seconds, accepted.trace_id) == (8, 5, "trace-1")
    assert accepted.created_at == accepted.run_at == world.clock.now
    found = world.status.row(accepted.job_id)
    assert found is not None
    assert found.job == accepted
    (waiting,) = world.queue.waiting
    assert (waiting.message.job, waiting.message.attempt, waiting.message.etag) == (accepted, 1, found.etag)
    assert waiting.message_id == f"{accepted.job_id}:1:1"
    assert world.notifier.published == [accepted]


async def test_what_is_not_said_is_the_job_types_default(world: World) -> None:
    accepted = await world.submit()
    assert (accepted.priority, accepted.max_attempts, accepted.timeout_seconds) == (Priority.MEDIUM, 3, 60)
    assert (accepted.payload, accepted.tags) == ({}, ())


@pytest.mark.parametrize(
    "fields",
    [{"delay_seconds": 90}, {"run_at": "2026-03-01T10:22:00.123456Z"}, {"run_at": "2026-03-01T12:22:00.123456+02:00"}],
    ids=str,
)
async def test_a_job_for_later_is_scheduled(world: World, fields: dict[str, Any]) -> None:
    accepted = await world.submit(**fields)
    assert (accepted.state, accepted.run_at) == (S.SCHEDULED, world.clock.now + timedelta(seconds=90))
    assert accepted.run_at.tzinfo is UTC
    assert world.queue.waiting[0].due == accepted.run_at
    assert await world.deliver() is None
    world.clock.advance(90)
    await world.deliver()
    assert world.row(accepted).state is S.COMPLETED


@pytest.mark.parametrize("run_at", ["2020-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"])
async def test_a_time_that_is_over_means_now(world: World, run_at: str) -> None:
    accepted = await world.submit(run_at=run_at)
    assert (accepted.state, accepted.run_at) == (S.QUEUED, world.clock.now)


REFUSED: list[tuple[dict[str, Any], type[DtqError], str]] = [
    ({"priority": "urgent"}, InvalidRequestError, "/priority"),
    ({"payload": {"nope": 1}}, InvalidRequestError, "/payload/nope"),
    ({"payload": {"note": "x" * 2000}}, PayloadTooLargeError, "/payload"),
    ({"run_at": "2026-03-01T12:00:00"}, InvalidRequestError, "/run_at"),
    ({"run_at": "2028-03-01T12:00:00Z"}, InvalidRequestError, "/run_at"),
    ({"run_at": "2026-03-01T12:00:00Z", "delay_seconds": 1}, InvalidRequestError, "/delay_seconds"),
    ({"delay_seconds": 366 * 86400 + 1}, InvalidRequestError, "/delay_seconds"),
    ({"job_type": "wrok"}, UnknownJobTypeError, "/job_type"),
]


@pytest.mark.parametrize(("fields", "error", "pointer"), REFUSED)
async def test_a_refused_request_leaves_nothing_behind(
    world: World, fields: dict[str, Any], error: type[DtqError], pointer: str
) -> None:
    with pytest.raises(error) as caught:
        await submit(world.services, {"job_type": "work", **fields}, TRACE, "key")
    assert [each for each, _ in caught.value.errors] == [pointer]
    assert (world.status.writes, world.queue.waiting) == ([], [])
    # The key is free, too: the request that was meant may use it.
    assert (await submit(world.services, {"job_type": "work"}, TRACE, "key")).created


async def test_the_payload_limit_is_exact(world: World) -> None:
    limit = world.settings.max_payload_bytes
    await world.submit(payload={"note": "x" * (limit - len('{"note":""}'))})
    with pytest.raises(PayloadTooLargeError, match="2,001 bytes long; at most 2,000"):
        await world.submit(payload={"note": "x" * (limit + 1 - len('{"note":""}'))})


async def test_a_job_that_certainly_was_not_sent_is_gone_again(world: World) -> None:
    world.faults.plant("queue.send", TransientError("refused"))
    with pytest.raises(UnavailableError, match="not accepted: refused") as caught:
        await world.submit()
    assert caught.value.retry_after is not None
    assert await world.status.hours("default") == ["2026030110"]
    assert [write.after for write in world.status.writes][-1] is None
    world.clock.advance(3600)
    assert (await repair(world.services)).resent == 0


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_job_that_may_have_been_sent_runs_once_either_way(world: World, arrived: bool) -> None:
    world.faults.plant("queue.send", TransientError("no answer", unknown_outcome=True), after=arrived)
    with pytest.raises(UnavailableError):
        await world.submit()
    (job_id,) = {write.job_id for write in world.status.writes}
    world.clock.advance(60)
    await repair(world.services)
    await world.drain()
    found = world.status.row(job_id)
    assert found is not None
    assert (found.job.state, world.calls[job_id]) == (S.COMPLETED, [1])


async def test_a_job_that_could_not_be_stored_is_not_sent(world: World) -> None:
    world.faults.plant("status.insert", TransientError("away"))
    with pytest.raises(UnavailableError):
        await world.submit()
    assert world.queue.waiting == []


async def keyed(world: World, key: str = "key", **fields: Any) -> Submitted:
    return await submit(world.services, {"job_type": "work", **fields}, TRACE, key)


async def test_the_same_key_and_body_is_the_same_job(world: World) -> None:
    first = await keyed(world, payload={"note": {"a": 1, "b": 2}})
    again = await keyed(world, payload={"note": {"b": 2, "a": 1}})
    assert (first.created, again.created) == (True, False)
    assert first.job.job_id == again.job.job_id
    await world.drain()
    assert world.calls == {first.job.job_id: [1]}
    finished = await keyed(world, payload={"note": {"a": 1, "b": 2}})
    assert (finished.created, finished.job.state) == (False, S.COMPLETED)


async def test_the_same_key_with_another_body_is_a_conflict_that_names_the_job(world: World) -> None:
    first = await keyed(world, payload={"note": 1})
    with pytest.raises(IdempotencyConflictError, match=first.job.job_id):
        await keyed(world, payload={"note": 2})
    assert len(world.queue.waiting) == 1


async def test_another_key_is_another_job_and_a_key_lapses(world: World) -> None:
    first = await keyed(world)
    assert (await keyed(world, "other")).created
    world.clock.advance(24 * 3600 + 1)
    later = await keyed(world)
    assert later.created
    assert later.job.job_id != first.job.job_id


async def test_requests_with_one_key_at_once_make_one_job(world: World) -> None:
    answers = await asyncio.gather(*(keyed(world) for _ in range(10)))
    assert len({answer.job.job_id for answer in answers}) == 1
    await world.drain()
    assert list(world.calls.values()) == [[1]]


@pytest.mark.parametrize("call", ["status.insert", "queue.send"])
async def test_a_repeat_finishes_what_a_request_that_died_began(world: World, call: str) -> None:
    world.faults.plant(call, Crash())
    with pytest.raises(Crash):
        await keyed(world)
    repeated = await keyed(world)
    world.clock.advance(60)
    await repair(world.services)
    await world.drain()
    assert (world.row(repeated.job).state, world.calls[repeated.job.job_id]) == (S.COMPLETED, [1])


async def test_a_repeat_is_a_promise_even_when_the_first_request_fails(world: World) -> None:
    """The first has stored the row, the repeat finds it, and only then the broker refuses the first one's message."""
    repeated: list[Submitted] = []

    async def refuse_the_first(outgoing: Any) -> None:
        world.queue.send = send  # type: ignore[method-assign]
        repeated.append(await keyed(world))
        raise TransientError("refused")

    send, world.queue.send = world.queue.send, refuse_the_first  # type: ignore[method-assign]
    with pytest.raises(UnavailableError):
        await keyed(world)
    await world.drain()
    (answer,) = repeated
    assert world.row(answer.job).state is S.COMPLETED


async def test_a_row_that_our_own_lost_call_stored_gets_its_message(world: World) -> None:
    world.faults.plant("status.insert", ConflictError("a retry of the SDK"), after=True)
    job = await world.submit()
    await world.drain()
    assert world.row(job).state is S.COMPLETED


async def test_a_conflict_over_a_row_that_is_not_there_is_no_promise(world: World) -> None:
    world.faults.plant("status.insert", ConflictError("there, and gone"))
    with pytest.raises(UnavailableError):
        await world.submit()
    assert world.queue.waiting == []


async def test_a_repeat_of_a_job_whose_row_was_lost_answers_from_its_result(world: World) -> None:
    first = await keyed(world)
    await world.drain()
    world.status.lose_writes(3)
    again = await keyed(world)
    assert (again.created, again.job.state, again.job.job_id) == (False, S.COMPLETED, first.job.job_id)


async def test_one_bad_job_of_a_batch_never_spoils_the_others(world: World) -> None:
    body = {"jobs": [{"job_type": "work"}, {"job_type": "wrok"}, 7, {"job_type": "work", "payload": {"note": 3}}]}
    outcomes = await submit_batch(world.services, body, TRACE)
    kinds = [outcome if isinstance(outcome, Job) else outcome.code for outcome in outcomes]
    assert kinds[1:3] == ["unknown_job_type", "invalid_request"]
    assert isinstance(kinds[0], Job)
    assert isinstance(kinds[3], Job)
    assert kinds[3].payload == {"note": 3}
    await world.drain()
    assert set(world.calls) == {kinds[0].job_id, kinds[3].job_id}


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], "/jobs"),
        ({}, "/jobs"),
        ({"jobs": {}}, "/jobs"),
        ({"jobs": []}, "/jobs"),
        ({"jobs": [{}] * 1001}, "/jobs"),
        ({"jobs": [{"job_type": "work"}], "a/b": 1}, "/a~1b"),
    ],
)
async def test_what_is_no_batch_is_refused_as_a_whole(world: World, body: Any, pointer: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        await submit_batch(world.services, body, TRACE)
    assert [each for each, _ in caught.value.errors] == [pointer]
    assert world.status.writes == []


async def test_a_batch_that_was_certainly_not_sent_is_gone_again(world: World) -> None:
    world.faults.plant("queue.send", TransientError("refused"))
    outcomes = await submit_batch(world.services, {"jobs": [{"job_type": "work"}] * 3}, TRACE)
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3
    assert all(world.status.row(write.job_id) is None for write in world.status.writes)


async def test_without_the_table_every_job_of_a_batch_is_refused_by_itself(world: World) -> None:
    world.faults.plant("status.insert_many", TransientError("away"))
    outcomes = await submit_batch(world.services, {"jobs": [{"job_type": "work"}, {"job_type": "work"}]}, TRACE)
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 2
    assert world.queue.waiting == []


async def test_a_batch_of_a_thousand_is_stored_and_sent_whole(world: World) -> None:
    outcomes = await submit_batch(world.services, {"jobs": [{"job_type": "work"}] * 1000}, TRACE)
    assert len({outcome.job_id for outcome in outcomes if isinstance(outcome, Job)}) == 1000
    assert len(world.queue.waiting) == 1000


async def test_ids_of_jobs_of_one_moment_never_meet(world: World) -> None:
    ids = {(await world.submit()).job_id for _ in range(200)}
    assert len(ids) == 200
    assert world.clock.now.astimezone(UTC) == datetime(2026, 3, 1, 10, 20, 30, 123456, tzinfo=UTC)
