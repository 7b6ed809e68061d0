"""Holding queues and job types: the record, the broker, the audit trail."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import InvalidRequestError, JobTypeNotFoundError, QueueNotFoundError, UnavailableError
from shared.jobs.model import JobState, Priority
from shared.service.audit import AUDIT, audit
from shared.service.flow_state import FLOW
from shared.service.pause import (
    Pause,
    enforce_pauses,
    pause_job_type,
    pause_queue,
    resume_job_type,
    resume_queue,
)
from shared.service.ports import TransientError
from tests.unit.service.world import World

S = JobState


async def held(world: World) -> list[str]:
    return [record.key for record in await world.records.list(FLOW)]


async def trail(world: World) -> list[tuple[str, str, str, str]]:
    """The audit entries, newest first."""
    entries = [record.value for record in await world.records.list(AUDIT)]
    return [(entry["by"], entry["action"], entry["target"], entry["reason"]) for entry in entries]


async def test_a_paused_queue_takes_jobs_and_starts_none_until_it_is_resumed(world: World) -> None:
    answer = await pause_queue(world.services, "low", {"reason": "provider is down"}, "me")
    assert answer.priority is Priority.LOW
    assert answer.paused == Pause(world.clock.now, "me", "provider is down")
    job = await world.submit(priority="low")
    other = await world.submit(priority="high")
    assert world.queue.held == {Priority.LOW}
    await world.deliver()
    assert (world.row(job).state, world.row(other).state) == (S.QUEUED, S.COMPLETED)
    world.clock.advance(5)
    assert (await resume_queue(world.services, "low", "you")).paused is None
    assert world.queue.held == set()
    await world.deliver()
    assert world.row(job).state is S.COMPLETED
    assert await trail(world) == [
        ("you", "queue.resume", "low", ""),
        ("me", "queue.pause", "low", "provider is down"),
    ]


async def test_a_second_pause_or_resume_changes_nothing_and_is_not_in_the_trail(world: World) -> None:
    first = await pause_queue(world.services, "low", {"reason": "first"}, "me")
    world.clock.advance(60)
    assert await pause_queue(world.services, "low", {}, "you") == first
    await resume_queue(world.services, "low", "me")
    await resume_queue(world.services, "low", "you")
    assert len(await trail(world)) == 2


async def test_a_job_type_is_paused_and_resumed(world: World) -> None:
    answer = await pause_job_type(world.services, "work", {}, "me")
    assert (answer.name, answer.paused) == ("work", Pause(world.clock.now, "me", ""))
    assert await held(world) == ["job_type:work"]
    job = await world.submit()
    await world.deliver()
    assert (world.row(job).state, world.row(job).message) == (S.QUEUED, "The job type work is paused")
    world.clock.advance(1)
    await resume_job_type(world.services, "work", "me")
    await world.drain()
    assert world.row(job).state is S.COMPLETED
    assert [action for _, action, _, _ in await trail(world)] == ["job_type.resume", "job_type.pause"]


async def test_what_there_is_not_cannot_be_held(world: World) -> None:
    with pytest.raises(QueueNotFoundError, match="Did you mean 'low'") as caught:
        await pause_queue(world.services, "lwo", {}, "me")
    assert caught.value.status == 404
    with pytest.raises(QueueNotFoundError, match="Known: critical, high, medium, low"):
        await resume_queue(world.services, "dead", "me")
    with pytest.raises(JobTypeNotFoundError, match="Did you mean 'work'") as unknown:
        await pause_job_type(world.services, "wrok", {}, "me")
    assert (unknown.value.status, unknown.value.code) == (404, "unknown_job_type")
    with pytest.raises(JobTypeNotFoundError):
        await resume_job_type(world.services, "nothing", "me")
    assert await held(world) == []


@pytest.mark.parametrize("body", [{"reason": "x" * 201}, {"reason": 1}, {"why": "x"}, []])
async def test_a_malformed_pause_is_refused(world: World, body: Any) -> None:
    with pytest.raises(InvalidRequestError):
        await pause_queue(world.services, "low", body, "me")
    assert await held(world) == []


async def test_a_table_that_is_away_is_said_so(world: World) -> None:
    world.faults.plant("records.create", TransientError("away"))
    with pytest.raises(UnavailableError):
        await pause_queue(world.services, "low", {}, "me")
    await pause_queue(world.services, "low", {}, "me")
    for call in ("records.get", "records.delete"):
        world.faults.plant(call, TransientError("away"))
        with pytest.raises(UnavailableError):
            await resume_queue(world.services, "low", "me")
    assert (await held(world), world.queue.held) == (["queue:low"], {Priority.LOW})


async def test_a_broker_that_cannot_be_told_is_told_by_the_janitor(world: World) -> None:
    world.faults.plant("queue_admin.set_receiving", TransientError("away"))
    await pause_queue(world.services, "low", {}, "me")
    assert (await held(world), world.queue.held) == (["queue:low"], set())
    await enforce_pauses(world.services)
    assert world.queue.held == {Priority.LOW}
    world.faults.plant("queue_admin.set_receiving", TransientError("away"))
    await resume_queue(world.services, "low", "me")
    assert (await held(world), world.queue.held) == ([], {Priority.LOW})
    await enforce_pauses(world.services)
    assert world.queue.held == set()


async def test_what_was_done_counts_though_the_trail_cannot_be_written(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.faults.plant("records.create", TransientError("away"), skip=1)
    await pause_queue(world.services, "low", {"reason": "because"}, "me")
    assert await held(world) == ["queue:low"]
    assert await trail(world) == []
    (complaint,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "queue.pause" in complaint
    assert "because" in complaint


async def test_the_trail_has_the_newest_first(world: World) -> None:
    for number in range(12):
        await audit(world.services, by="me", action=f"do.{number}", target="x")
        world.clock.advance(0.001 if number % 2 else 3600)
    assert [action for _, action, _, _ in await trail(world)] == [f"do.{number}" for number in reversed(range(12))]
