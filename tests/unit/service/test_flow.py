"""Flow control around a run: slots, order, pauses, and what it leaves behind when a job may not run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.jobs import JobContext, RetryableError
from shared.jobs.admission import Refusal
from shared.jobs.breaker import BreakerRecord
from shared.jobs.limits import Limit
from shared.jobs.model import Job, JobMessage, JobState, Priority
from shared.service import flow
from shared.service.cancel import cancel_job
from shared.service.flow import PAUSED_TYPE_SECONDS, job_type_key, queue_key
from shared.service.flow_state import FLOW
from shared.service.limiter import Grant, Limiter
from shared.service.put_off import put_off
from shared.service.run import run_message
from tests.fakes import START
from tests.unit.service.world import Work, World

S = JobState
PAUSE = {"at": "2026-03-01T10:00:00Z", "by": "me", "reason": ""}


class Instance:
    """An instance with few slots whose handlers run until they are told to end."""

    def __init__(self, world: World, slots: int) -> None:
        world.settings = msgspec.structs.replace(world.settings, slots=slots)
        world.services = world.instance("one")
        world.handler = self._work
        self.world = world
        self.begun: list[Any] = []
        self.most_at_once = 0
        self._running: dict[Any, asyncio.Event] = {}
        self._changed = asyncio.Event()

    async def _work(self, payload: Work, _: JobContext) -> Any:
        self.begun.append(payload.note)
        end = self._running[payload.note] = asyncio.Event()
        self.most_at_once = max(self.most_at_once, len(self._running))
        self._changed.set()
        await end.wait()
        del self._running[payload.note]

    async def receive(self, priority: Priority, note: Any) -> tuple[Job, asyncio.Task[None]]:
        """Submit a job and hand its message to the instance."""
        job = await self.world.submit(payload={"note": note}, priority=priority)
        (message,) = [each for each in self.world.queue.waiting if each.message.job.job_id == job.job_id]
        self.world.queue.complete(message)
        work = run_message(self.world.services, priority, message.body, message.message_id)
        return job, asyncio.create_task(work)

    async def has_begun(self, note: Any) -> None:
        async with asyncio.timeout(10):
            while note not in self._running:
                self._changed.clear()
                await self._changed.wait()

    def end(self, note: Any) -> None:
        self._running[note].set()


@pytest.fixture
def instance(world: World) -> Callable[[int], Instance]:
    return lambda slots: Instance(world, slots)


async def settled() -> None:
    """Let everything that can go on without a clock or an event do so."""
    for _ in range(50):
        await asyncio.sleep(0)


async def test_a_free_slot_goes_to_the_most_urgent_and_never_more_run_than_there_are_slots(
    instance: Callable[[int], Instance],
) -> None:
    one = instance(2)
    tasks = []
    for note in ("a", "b"):
        tasks.append((await one.receive(Priority.LOW, note))[1])
        await one.has_begun(note)
    for priority in (Priority.LOW, Priority.MEDIUM, Priority.CRITICAL, Priority.HIGH, Priority.CRITICAL):
        tasks.append((await one.receive(priority, f"{priority} {len(tasks)}"))[1])
        await settled()
    assert one.begun == ["a", "b"]
    expected = ["critical 4", "critical 6", "high 5", "medium 3", "low 2"]
    for ends, begins in zip(["a", "b", *expected], expected, strict=False):
        one.end(ends)
        await one.has_begun(begins)
    for note in expected[-2:]:
        one.end(note)
    await asyncio.gather(*tasks)
    assert one.begun == ["a", "b", *expected]
    assert one.most_at_once == 2


async def test_a_job_that_waits_for_a_slot_is_queued_and_can_be_cancelled(instance: Callable[[int], Instance]) -> None:
    one = instance(1)
    _, running = await one.receive(Priority.CRITICAL, "runs")
    await one.has_begun("runs")
    job, waiting = await one.receive(Priority.LOW, "waits")
    await settled()
    assert one.world.row(job).state is S.QUEUED
    assert (await cancel_job(one.world.services, job.job_id)).state is S.CANCELLED
    one.end("runs")
    await asyncio.gather(running, waiting)
    assert one.begun == ["runs"]
    assert one.world.row(job).state is S.CANCELLED


async def test_a_wait_that_is_cut_off_writes_nothing_and_gives_its_place_to_the_next(
    instance: Callable[[int], Instance],
) -> None:
    one = instance(1)
    _, running = await one.receive(Priority.LOW, "runs")
    await one.has_begun("runs")
    job, waiting = await one.receive(Priority.LOW, "is cut off")
    _, last = await one.receive(Priority.LOW, "last")
    await settled()
    writes = len(one.world.status.writes)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (len(one.world.status.writes), one.world.queue.waiting) == (writes, [])
    one.end("runs")
    await one.has_begun("last")
    one.end("last")
    await asyncio.gather(running, last)
    assert one.world.row(job).state is S.QUEUED


async def test_one_cut_off_in_the_moment_of_its_turn_leaves_no_slot_taken(instance: Callable[[int], Instance]) -> None:
    one = instance(1)
    _, running = await one.receive(Priority.LOW, "runs")
    await one.has_begun("runs")
    _, waiting = await one.receive(Priority.LOW, "is cut off")
    await settled()
    one.end("runs")
    await running  # its slot has been given on, and who got it has not gone on yet
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    _, last = await one.receive(Priority.LOW, "last")
    await one.has_begun("last")
    one.end("last")
    await last
    assert one.begun == ["runs", "last"]


async def test_a_stop_sends_back_who_waits_and_lets_finish_who_runs(instance: Callable[[int], Instance]) -> None:
    one = instance(1)
    runs, running = await one.receive(Priority.LOW, "runs")
    await one.has_begun("runs")
    waits, waiting = await one.receive(Priority.LOW, "waits")
    await settled()
    one.world.services.flow.close()
    await waiting
    (copy,) = one.world.queue.waiting
    assert (copy.message.job.job_id, copy.message.attempt, copy.due) == (waits.job_id, 1, one.world.clock.now)
    late, turned_away = await one.receive(Priority.CRITICAL, "comes late")
    await turned_away
    one.end("runs")
    await running
    assert one.begun == ["runs"]
    assert one.world.row(runs).state is S.COMPLETED
    assert [one.world.row(job).state for job in (waits, late)] == [S.QUEUED, S.QUEUED]
    one.world.handler = lambda payload, _: asyncio.sleep(0, payload.note)
    for _ in range(2):
        await one.world.deliver(one.world.instance("two"))
    assert [one.world.row(job).state for job in (waits, late)] == [S.COMPLETED, S.COMPLETED]


async def test_jobs_cost_one_query_for_pauses_a_second_and_nothing_else(world: World) -> None:
    jobs = [await world.submit() for _ in range(20)]
    world.faults.plant("records.list", AssertionError("one query is enough"), skip=1)
    for call in ("get", "put", "create", "replace", "delete", "fold"):
        world.faults.plant(f"records.{call}", AssertionError("running a job needs no record"))
    await world.drain()
    assert {world.row(job).state for job in jobs} == {S.COMPLETED}


async def test_a_job_of_a_paused_type_is_put_off_and_its_attempt_is_not_burnt(world: World) -> None:
    job = await world.submit()
    await world.records.put(FLOW, job_type_key("work"), PAUSE)
    writes = len(world.status.writes)
    world.faults.plant("status.get", AssertionError("putting off needs no read"))
    await world.deliver()
    row = world.row(job)
    assert (row.state, row.attempt, row.message) == (S.QUEUED, 0, "The job type work is paused")
    assert len(world.status.writes) == writes + 1
    wait = (row.run_at - world.clock.now).total_seconds()
    assert PAUSED_TYPE_SECONDS[0] <= wait <= PAUSED_TYPE_SECONDS[1]
    (copy,) = world.queue.waiting
    assert (copy.due, copy.message.returning) == (row.run_at, False)
    assert world.notifier.published[-1] == row
    await world.records.delete(FLOW, job_type_key("work"))
    await world.drain()
    assert (world.row(job).state, world.row(job).attempt) == (S.COMPLETED, 1)


async def test_other_types_run_while_one_is_paused(world: World) -> None:
    await world.records.put(FLOW, job_type_key("work"), PAUSE)
    job = await world.submit("sync_work")
    await world.drain()
    assert world.row(job).state is S.COMPLETED


async def test_a_job_in_hand_waits_for_its_paused_queue_to_be_resumed(
    instance: Callable[[int], Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "LOOK_SECONDS", 0.005)
    one = instance(1)
    await one.world.records.put(FLOW, queue_key(Priority.LOW), PAUSE)
    job, held = await one.receive(Priority.LOW, "held")
    _, running = await one.receive(Priority.MEDIUM, "runs")
    await one.has_begun("runs")  # the only slot is not taken by one that may not run
    one.end("runs")
    await running
    assert one.world.row(job).state is S.QUEUED
    await one.world.records.delete(FLOW, queue_key(Priority.LOW))
    one.world.clock.advance(1)
    await one.has_begun("held")
    one.end("held")
    await held


async def test_a_pause_during_the_wait_for_a_slot_is_noticed(
    instance: Callable[[int], Instance], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "HOLD_SECONDS", 0)
    one = instance(1)
    _, running = await one.receive(Priority.MEDIUM, "runs")
    await one.has_begun("runs")
    job, waiting = await one.receive(Priority.LOW, "waits")
    await settled()
    await one.world.records.put(FLOW, queue_key(Priority.LOW), PAUSE)
    one.world.clock.advance(1)
    one.end("runs")
    await asyncio.gather(running, waiting)
    assert one.begun == ["runs"]
    (copy,) = one.world.queue.waiting
    assert (copy.message.job.job_id, copy.due) == (job.job_id, one.world.clock.now)
    assert (one.world.row(job).state, one.world.row(job).message) == (S.QUEUED, "The queue low is paused")


class TestPutOff:
    """What is written and sent, whatever the row says."""

    @pytest.fixture
    async def job(self, world: World) -> Job:
        return await world.submit()

    def message(self, world: World) -> JobMessage:
        return world.queue.waiting[0].message

    def refusal(self, world: World, *, lines_up: bool = False) -> Refusal:
        return Refusal(world.clock.now + timedelta(seconds=20), "Waits for a test", lines_up)

    def copies(self, world: World) -> list[JobMessage]:
        return [each.message for each in world.queue.waiting[1:]]

    async def test_who_has_a_place_in_a_line_comes_back_returning(self, world: World, job: Job) -> None:
        await put_off(world.services, self.message(world), self.refusal(world, lines_up=True), redelivered=False)
        (copy,) = self.copies(world)
        stored = world.status.row(job.job_id)
        assert stored is not None
        assert (copy.returning, copy.etag, copy.job) == (True, stored.etag, stored.job)

    async def test_a_row_that_somebody_touched_is_written_on_top_of(self, world: World, job: Job) -> None:
        await world.touch(job, tags=("new",))
        await put_off(world.services, self.message(world), self.refusal(world), redelivered=False)
        row = world.row(job)
        assert (row.tags, row.message, row.run_at) == (("new",), "Waits for a test", self.refusal(world).until)
        assert [copy.job for copy in self.copies(world)] == [row]

    async def test_a_copy_of_a_redelivered_message_is_not_believed_either(self, world: World, job: Job) -> None:
        await put_off(world.services, self.message(world), self.refusal(world), redelivered=True)
        assert [copy.etag for copy in self.copies(world)] == [""]
        assert world.row(job).message == "Waits for a test"

    async def test_a_job_that_was_cancelled_meanwhile_is_dropped(self, world: World, job: Job) -> None:
        await cancel_job(world.services, job.job_id)
        await put_off(world.services, self.message(world), self.refusal(world), redelivered=False)
        assert self.copies(world) == []
        assert world.row(job).state is S.CANCELLED

    async def test_a_row_that_is_gone_is_left_to_the_claim(self, world: World, job: Job) -> None:
        world.status.lose_writes(1)
        message = self.message(world)
        await put_off(world.services, message, self.refusal(world), redelivered=False)
        assert self.copies(world) == [message]
        await world.drain()
        assert world.row(job).state is S.COMPLETED

    async def test_a_job_that_somebody_runs_is_not_touched(self, world: World, job: Job) -> None:
        held = await world.touch(job, state=S.RUNNING, attempt=1, owner="other", lease_until=world.clock.now)
        message = self.message(world)
        await put_off(world.services, message, self.refusal(world), redelivered=False)
        assert world.row(job) == held.job
        assert self.copies(world) == [message]


class TestLimits:
    """The limiter behind the gate."""

    def limited(self, world: World, limit: Limit) -> None:
        world.settings = msgspec.structs.replace(world.settings, job_type_limits={"work": limit})

    async def test_what_a_limit_holds_back_is_put_off_and_runs_once_there_is_room(
        self, world: World, instance: Callable[[int], Instance]
    ) -> None:
        self.limited(world, Limit(max_concurrent=1))
        one = instance(4)
        _, running = await one.receive(Priority.LOW, "runs")
        await one.has_begun("runs")
        job, refused = await one.receive(Priority.LOW, "waits")
        await refused
        assert (world.row(job).state, world.row(job).attempt) == (S.QUEUED, 0)
        assert "limit" in world.row(job).message
        one.end("runs")
        await running
        (copy,) = world.queue.waiting
        world.clock.now = copy.due
        again = asyncio.create_task(run_message(world.services, Priority.LOW, copy.body, copy.message_id))
        await one.has_begun("waits")
        one.end("waits")
        await again
        assert (world.row(job).state, world.row(job).attempt) == (S.COMPLETED, 1)

    async def test_nobody_waits_for_a_token_in_a_slot(self, world: World, instance: Callable[[int], Instance]) -> None:
        one = instance(1)
        limiter = OneGrant(seconds=60)
        world.services.flow.limiter = limiter
        _, waiting = await one.receive(Priority.LOW, "waits for its token")
        await settled()
        _, other = await one.receive(Priority.LOW, "runs")
        await one.has_begun("runs")
        one.end("runs")
        await other
        assert limiter.held == 1
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (one.begun, limiter.held) == (["runs"], 0)

    async def test_a_token_that_is_due_is_used(self, world: World, instance: Callable[[int], Instance]) -> None:
        one = instance(1)
        limiter = OneGrant(seconds=0.01)
        world.services.flow.limiter = limiter
        _, running = await one.receive(Priority.LOW, "runs")
        await one.has_begun("runs")
        one.end("runs")
        await running
        assert (limiter.taken, limiter.held) == (1, 0)


class OneGrant(Limiter):
    """Grants the first who asks a token for a later time, and everybody else one for now."""

    def __init__(self, seconds: float) -> None:
        self.taken = self.held = 0
        self._seconds = seconds

    async def take(self, *_: Any, **__: Any) -> Grant:
        self.taken += 1
        self.held += 1
        return Grant(START + timedelta(seconds=self._seconds if self.taken == 1 else 0))

    async def give_back(self, *_: Any) -> None:
        self.held -= 1


class TestProbes:
    """A job that probes a provider whose breaker is half open."""

    @pytest.fixture
    async def job(self, world: World) -> Job:
        record = BreakerRecord(since=world.clock.now - timedelta(seconds=5), until=world.clock.now)
        await world.records.put(FLOW, "breaker:work", msgspec.to_builtins(record))
        return await world.submit()

    async def breaker(self, world: World) -> BreakerRecord:
        found = await world.records.get(FLOW, "breaker:work")
        assert found is not None
        return msgspec.convert(found.value, BreakerRecord)

    async def test_that_goes_well_closes_it(self, world: World, job: Job) -> None:
        await world.deliver()
        assert world.row(job).state is S.COMPLETED
        assert (await self.breaker(world)).until is None

    async def test_that_fails_opens_it_again_and_is_not_burnt(self, world: World, job: Job) -> None:
        async def fail(*_: Any) -> None:
            raise RetryableError("away", code="provider_unreachable")

        world.handler = fail
        await world.deliver()
        row = world.row(job)
        assert (row.state, row.attempt, world.outcomes(job)) == (S.SCHEDULED, 0, [])
        until = (await self.breaker(world)).until
        assert until is not None
        assert until > world.clock.now
        assert row.run_at > until

    async def test_that_has_nothing_to_run_gives_it_to_the_next(self, world: World, job: Job) -> None:
        await cancel_job(world.services, job.job_id)
        await world.deliver()
        assert (await self.breaker(world)).prober == ""
        assert world.calls == {}

    async def test_that_is_interrupted_gives_it_to_the_next(self, world: World, job: Job) -> None:
        begun = asyncio.Event()

        async def hang(*_: Any) -> None:
            begun.set()
            await asyncio.Event().wait()

        world.handler = hang
        delivery = asyncio.create_task(world.deliver())
        await begun.wait()
        assert (await self.breaker(world)).prober == "one"
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)
        assert (await self.breaker(world)).prober == ""
        assert world.row(job).state is S.QUEUED
