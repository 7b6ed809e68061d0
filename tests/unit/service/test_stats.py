"""What operators read: queues without asking the broker too often, workers, statistics, the audit trail."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from shared.errors import UnavailableError
from shared.jobs.model import Priority
from shared.service.audit import audit
from shared.service.cancel import cancel_job
from shared.service.heartbeat import STALE, Heartbeat
from shared.service.pause import pause_queue, resume_queue
from shared.service.ports import TransientError
from shared.service.queues import FRESH, USABLE, QueueView
from shared.service.stats import COUNTS_FRESH, OPEN_FRESH, Monitor
from tests.unit.service.world import World

AWAY = TransientError("away")


@pytest.fixture
def monitor(world: World) -> Monitor:
    return Monitor(world.services)


def queue_named(queues: list[QueueView], priority: Priority) -> QueueView:
    return next(queue for queue in queues if queue.priority is priority)


async def test_queues_tell_what_they_hold_and_how_long_the_oldest_has_waited(world: World, monitor: Monitor) -> None:
    await world.submit(priority="low")
    world.clock.advance(7)
    await world.submit(priority="low")
    await world.submit(priority="high", delay_seconds=60)
    view = await monitor.queues()
    assert [queue.priority for queue in view.queues] == list(Priority)
    assert queue_named(view.queues, Priority.LOW) == QueueView(Priority.LOW, 2, 0, 7.0, None)
    assert queue_named(view.queues, Priority.HIGH) == QueueView(Priority.HIGH, 0, 1, None, None)
    assert (view.dead, view.poison) == (0, 0)


async def test_a_pause_shows_at_once_and_hides_the_age(world: World, monitor: Monitor) -> None:
    await world.submit(priority="low")
    before = await monitor.queues()
    await pause_queue(world.services, "low", {"reason": "flood"}, "me")
    paused = queue_named((await monitor.queues()).queues, Priority.LOW).paused
    assert paused is not None
    assert (paused.by, paused.reason) == ("me", "flood")
    world.clock.advance(FRESH.total_seconds())
    assert queue_named((await monitor.queues()).queues, Priority.LOW).oldest_age_seconds is None
    await resume_queue(world.services, "low", "me")
    assert queue_named((await monitor.queues()).queues, Priority.LOW).paused is None
    assert before.as_of < (await monitor.queues()).as_of


async def test_the_broker_is_asked_once_for_all_who_ask_within_seconds(world: World, monitor: Monitor) -> None:
    elsewhere = Monitor(world.instance("two"))
    answers = await asyncio.gather(*(monitor.queues() for _ in range(20)))
    # Whoever asks the broker from now on learns that it is away.
    world.faults.plant("queue_admin.counts", AWAY, times=100)
    assert {answer.as_of for answer in answers} == {world.clock()}
    assert (await elsewhere.queues()).as_of == world.clock()
    world.clock.advance(FRESH.total_seconds() - 0.1)
    assert (await monitor.queues()).as_of == answers[0].as_of
    assert (await elsewhere.queues()).as_of == answers[0].as_of


async def test_a_silent_broker_is_excused_for_a_while_and_not_asked_by_each(world: World, monitor: Monitor) -> None:
    first = await monitor.queues()
    world.faults.plant("queue_admin.counts", AWAY)
    world.clock.advance(FRESH.total_seconds() + 1)
    # One question failed; those who ask soon after are answered without another.
    assert [(await monitor.queues()).as_of for _ in range(3)] == [first.as_of] * 3
    world.clock.advance(FRESH.total_seconds())
    assert (await monitor.queues()).as_of == world.clock()
    world.faults.plant("queue_admin.counts", AWAY, times=100)
    world.clock.advance(USABLE.total_seconds())
    with pytest.raises(UnavailableError) as caught:
        await monitor.queues()
    assert caught.value.retry_after


async def test_queues_are_told_without_the_shared_answer(world: World, monitor: Monitor) -> None:
    world.faults.plant("records.get", AWAY)
    world.faults.plant("records.put", AWAY)
    assert (await monitor.queues()).as_of == world.clock()


async def test_workers_that_are_silent_are_not_told(world: World, monitor: Monitor) -> None:
    await Heartbeat(world.services).beat()
    assert [worker.instance_id for worker in (await monitor.workers()).workers] == ["one"]
    world.clock.advance(STALE.total_seconds() + 1)
    assert (await monitor.workers()).workers == []


async def test_statistics_tell_totals_open_jobs_minutes_and_times(world: World, monitor: Monitor) -> None:
    done, cancelled = await world.submit(priority="high"), await world.submit(priority="low")
    await cancel_job(world.services, cancelled.job_id)
    world.clock.advance(0.75)
    while await world.deliver():
        pass
    await world.submit("sync_work", delay_seconds=60)
    await world.services.metrics.flush()
    stats = await monitor.stats()
    assert world.row(done).state == "completed"
    totals = stats.totals
    assert (totals.submitted, totals.processed, totals.completed, totals.cancelled) == (3, 1, 1, 1)
    assert (totals.failed, totals.retried, totals.dead) == (0, 0, 0)
    assert (stats.open.total, stats.open.complete) == (1, True)
    assert stats.open.by_state == {"scheduled": 1, "queued": 0, "running": 0, "retrying": 0}
    assert stats.open.by_job_type == {"sync_work": 1}
    assert stats.open.by_priority == {"critical": 0, "high": 0, "medium": 1, "low": 0}
    assert {name: ends.submitted for name, ends in stats.by_job_type.items()} == {"sync_work": 1, "work": 2}
    assert {name: ends.submitted for name, ends in stats.by_priority.items()} == {
        "critical": 0,
        "high": 1,
        "medium": 1,
        "low": 1,
    }
    assert len(stats.per_minute) == 60
    assert [minute.minute for minute in stats.per_minute] == sorted(minute.minute for minute in stats.per_minute)
    assert (stats.per_minute[-1].submitted, stats.per_minute[-1].completed) == (3, 1)
    assert sum(minute.submitted for minute in stats.per_minute) == 3
    wait = stats.queue_wait_seconds["high"]
    assert wait.count == 1
    assert wait.p50 is not None
    assert 0.5 < wait.p50 <= 1.0
    low = stats.queue_wait_seconds["low"]
    assert (low.count, low.p50, low.p99) == (0, None, None)
    assert (stats.run_seconds["work"].count, stats.run_seconds["sync_work"].count) == (1, 0)


async def test_minutes_go_by_and_times_are_those_of_the_last_quarter(world: World, monitor: Monitor) -> None:
    await world.submit()
    await world.deliver()
    await world.services.metrics.flush()
    world.clock.advance(20 * 60)
    await world.submit()
    await world.services.metrics.flush()
    stats = await monitor.stats()
    assert [minute.submitted for minute in stats.per_minute if minute.submitted] == [1, 1]
    assert stats.per_minute[-1].submitted == stats.per_minute[-21].submitted == 1
    assert stats.run_seconds["work"].count == 0
    world.clock.advance(45 * 60)
    assert sum(minute.submitted for minute in (await monitor.stats()).per_minute) == 1


async def test_open_jobs_beyond_the_limit_are_not_counted(
    world: World, monitor: Monitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.service.stats.MAX_OPEN", 2)
    for expected in ((1, True), (2, True), (2, False)):
        await world.submit()
        world.clock.advance(OPEN_FRESH.total_seconds())
        found = (await monitor.stats()).open
        assert (found.total, found.complete) == expected


async def test_statistics_are_read_once_for_all_who_ask_at_once(world: World, monitor: Monitor) -> None:
    await asyncio.gather(*(monitor.stats() for _ in range(20)))
    world.faults.plant("records.list", AWAY, times=100)
    world.faults.plant("status.open_jobs", AWAY, times=100)
    await monitor.stats()
    world.clock.advance(COUNTS_FRESH.total_seconds())
    with pytest.raises(UnavailableError):
        await monitor.stats()


async def test_the_audit_trail_is_told_newest_first_and_only_so_far(world: World, monitor: Monitor) -> None:
    for number in range(4):
        await audit(world.services, by="me", action="queue.pause", target=str(number))
        world.clock.advance(timedelta(milliseconds=1).total_seconds())
    entries = (await monitor.audit(3)).entries
    assert [entry.target for entry in entries] == ["3", "2", "1"]
    assert {entry.by for entry in entries} == {"me"}


@pytest.mark.parametrize("call", ["queues", "workers", "stats", "gauges"])
async def test_a_table_that_is_away_is_told_as_such(world: World, monitor: Monitor, call: str) -> None:
    world.faults.plant("records.list", AWAY, times=100)
    with pytest.raises(UnavailableError):
        await getattr(monitor, call)()


async def test_a_scrape_does_without_the_broker(world: World, monitor: Monitor) -> None:
    world.faults.plant("queue_admin.counts", AWAY, times=100)
    gauges = await monitor.gauges()
    assert gauges.depths == {}
    assert gauges.open_breakers == {"sync_work": False, "work": False}
