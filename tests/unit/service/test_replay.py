"""Running ended jobs again: by id, and from the dead letters."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import InvalidRequestError, JobNotFoundError, NotRetryableError, UnavailableError
from shared.jobs import JobContext, PermanentError
from shared.jobs.model import Job, JobState
from shared.service.audit import AUDIT
from shared.service.cancel import cancel_job
from shared.service.ports import TransientError
from shared.service.replay import list_dead_letters, purge_dead_letters, replay_dead_letters, retry_job
from tests.fakes import Crash
from tests.unit.service.world import Work, World

S = JobState


async def failed_job(world: World, **fields: Any) -> Job:
    """A job that has failed for good; the handler works again afterwards."""
    before = world.handler

    async def fail(_: Work, __: JobContext) -> Any:
        raise PermanentError("broken", code="broken")

    world.handler = fail
    accepted = await world.submit(**fields)
    await world.deliver()
    world.handler = before
    assert world.row(accepted).state is S.FAILED
    return accepted


async def test_a_failed_job_runs_again_under_the_same_id_and_keeps_its_history(world: World) -> None:
    failed = await failed_job(world, payload={"note": "again"})
    queued = await retry_job(world.services, failed.job_id)
    assert (queued.state, queued.run, queued.attempt, queued.error) == (S.QUEUED, 2, 0, None)
    await world.deliver()
    row = world.row(failed)
    assert (row.state, row.run) == (S.COMPLETED, 2)
    assert [(attempt.run, attempt.attempt, attempt.outcome) for attempt in row.attempts] == [
        (1, 1, "failed"),
        (2, 1, "completed"),
    ]
    assert world.results.documents[failed.job_id].result == "again"


async def test_a_cancelled_job_runs_again_and_can_be_cancelled_again(world: World) -> None:
    accepted = await world.submit()
    await cancel_job(world.services, accepted.job_id)
    await retry_job(world.services, accepted.job_id)
    await cancel_job(world.services, accepted.job_id)
    await retry_job(world.services, accepted.job_id)
    await world.drain()
    assert (world.row(accepted).state, world.row(accepted).run) == (S.COMPLETED, 3)


async def test_a_job_whose_row_has_expired_runs_again_from_its_result(world: World) -> None:
    failed = await failed_job(world)
    found = world.status.row(failed.job_id)
    assert found is not None
    await world.status.delete(found.job, found.etag)
    await retry_job(world.services, failed.job_id)
    await world.drain()
    assert world.row(failed).state is S.COMPLETED


@pytest.mark.parametrize("state", ["queued", "completed"])
async def test_only_failed_and_cancelled_jobs_run_again(world: World, state: str) -> None:
    accepted = await world.submit()
    if state == "completed":
        await world.deliver()
    with pytest.raises(NotRetryableError, match=state):
        await retry_job(world.services, accepted.job_id)
    assert world.row(accepted).run == 1


async def test_an_unknown_job_is_not_found(world: World) -> None:
    with pytest.raises(JobNotFoundError):
        await retry_job(world.services, "01a20072-bb2f-7fdf-9934-ae7f9201de6e")


async def test_a_message_that_was_certainly_not_sent_leaves_the_job_failed(world: World) -> None:
    failed = await failed_job(world)
    world.faults.plant("queue.send", TransientError("refused"))
    with pytest.raises(UnavailableError):
        await retry_job(world.services, failed.job_id)
    assert (world.row(failed).state, world.row(failed).run) == (S.FAILED, 1)


async def test_a_late_message_of_the_first_run_does_nothing_to_the_second(world: World) -> None:
    accepted = await world.submit()
    first = world.queue.waiting[0].message
    await cancel_job(world.services, accepted.job_id)
    await retry_job(world.services, accepted.job_id)
    await world.deliver_body(first)
    assert (world.row(accepted).state, world.row(accepted).attempt) == (S.QUEUED, 0)


async def test_replay_starts_the_jobs_that_match_and_removes_their_letters(world: World) -> None:
    wanted, other = await failed_job(world), await failed_job(world)
    report = await replay_dead_letters(world.services, {"job_ids": [wanted.job_id]}, "me")
    assert (report.matched, report.done, report.more, report.job_ids) == (1, 1, False, [wanted.job_id])
    await world.drain()
    assert world.row(wanted).state is S.COMPLETED
    assert [letter.job_id for letter in await list_dead_letters(world.services, 10)] == [other.job_id]
    (entry,) = await world.records.list(AUDIT)
    assert (entry.value["by"], entry.value["action"], entry.value["target"]) == ("me", "dead_letters.replay", "dead")
    assert entry.value["details"] == {"job_ids": 1, "done": 1, "stale": 0, "skipped": 0, "more": False}


@pytest.mark.parametrize(
    ("conditions", "matched"),
    [({}, 2), ({"reason": "broken"}, 2), ({"reason": "other"}, 0), ({"job_type": "work"}, 2), ({"limit": 1}, 2)],
)
async def test_a_dry_run_tells_and_touches_nothing(world: World, conditions: dict[str, Any], matched: int) -> None:
    jobs = [await failed_job(world), await failed_job(world)]
    for act in (replay_dead_letters, purge_dead_letters):
        report = await act(world.services, {**conditions, "dry_run": True}, "me")
        assert (report.dry_run, report.matched, report.done) == (True, matched, 0)
        assert report.more is ("limit" in conditions)
    assert [world.row(job).state for job in jobs] == [S.FAILED, S.FAILED]
    assert len(world.queue.dead) == 2
    assert await world.records.list(AUDIT) == []


async def test_replay_goes_on_after_its_limit(world: World) -> None:
    jobs = [await failed_job(world) for _ in range(3)]
    first = await replay_dead_letters(world.services, {"limit": 2}, "me")
    second = await replay_dead_letters(world.services, {"limit": 2}, "me")
    assert ((first.done, first.more), (second.done, second.more)) == ((2, True), (1, False))
    await world.drain()
    assert [world.row(job).state for job in jobs] == [S.COMPLETED] * 3


async def test_a_crash_between_start_and_removal_does_not_start_the_job_twice(world: World) -> None:
    failed = await failed_job(world)
    world.faults.plant("dead_letters.complete", Crash())
    with pytest.raises(Crash):
        await replay_dead_letters(world.services, {}, "me")
    report = await replay_dead_letters(world.services, {}, "me")
    assert (report.done, report.stale) == (0, 1)
    assert world.queue.dead == []
    await world.drain()
    assert (world.row(failed).state, world.row(failed).run) == (S.COMPLETED, 2)
    assert world.calls[failed.job_id] == [1, 1]


async def test_a_second_failure_leaves_a_second_letter_and_only_that_is_replayed(world: World) -> None:
    failed = await failed_job(world)
    stale = world.queue.dead[0]
    await replay_dead_letters(world.services, {}, "me")

    async def fail(_: Work, __: JobContext) -> Any:
        raise PermanentError("broken again", code="broken_again")

    world.handler = fail
    await world.drain()
    world.queue.dead.insert(0, stale)
    assert [letter.reason for letter in await list_dead_letters(world.services, 10)] == ["broken", "broken_again"]
    report = await replay_dead_letters(world.services, {}, "me")
    assert (report.done, report.stale) == (1, 1)
    assert world.row(failed).run == 3


async def test_an_unreadable_letter_cannot_be_replayed_but_purged(world: World) -> None:
    await world.queue.send_dead_raw(b"\xff", "m1", "undecodable_message", "not JSON")
    report = await replay_dead_letters(world.services, {}, "me")
    assert (report.matched, report.skipped, len(world.queue.dead)) == (1, 1, 1)
    report = await purge_dead_letters(world.services, {"reason": "undecodable_message"}, "me")
    assert (report.done, world.queue.dead) == (1, [])


async def test_purge_leaves_the_jobs_as_they_are(world: World) -> None:
    failed = await failed_job(world)
    assert (await purge_dead_letters(world.services, {}, "me")).done == 1
    assert (world.row(failed).state, world.queue.dead) == (S.FAILED, [])


@pytest.mark.parametrize("body", [{"limit": 0}, {"job_ids": []}, {"job_idz": ["x"]}, []])
async def test_a_wrong_request_is_refused(world: World, body: Any) -> None:
    with pytest.raises(InvalidRequestError):
        await replay_dead_letters(world.services, body, "me")
