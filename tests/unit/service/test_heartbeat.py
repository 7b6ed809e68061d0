"""Heartbeats: what they tell, who counts as dead, and what becomes of the dead."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path
from typing import Any

import pytest

from shared import __version__
from shared.jobs import JobContext
from shared.service.heartbeat import MAX_RUNNING, STALE, WORKER, Heartbeat, clean_up, live_workers
from shared.service.metrics import COUNTER, MINUTE, RETIRED, SILENT, totals
from shared.service.ports import TransientError
from tests.unit.service.world import Work, World


async def worker_events(world: World) -> dict[str, int]:
    return totals(await world.records.list(COUNTER)).worker_events()


async def test_a_worker_tells_what_it_serves_and_runs(world: World) -> None:
    heartbeat = Heartbeat(world.services)
    begun, end = asyncio.Event(), asyncio.Event()

    async def wait(payload: Work, job: JobContext) -> Any:
        begun.set()
        await end.wait()

    world.handler = wait
    job = await world.submit()

    async def invocation() -> None:
        async with heartbeat.serving("run_medium"):
            await world.deliver()

    running = asyncio.create_task(invocation())
    await begun.wait()
    await heartbeat.beat()
    (worker,) = await live_workers(world.records, world.clock())
    assert (worker.instance_id, worker.functions, worker.version) == ("one", ["run_medium"], __version__)
    assert worker.slots == world.settings.slots
    assert [(each.job_id, each.started_at) for each in worker.running] == [(job.job_id, world.row(job).started_at)]
    end.set()
    await running
    await heartbeat.beat()
    (worker,) = await live_workers(world.records, world.clock())
    assert worker.running == []


async def test_the_first_message_begins_the_heartbeat(world: World) -> None:
    async with Heartbeat(world.services).serving("run_low"), asyncio.timeout(10):
        while not await live_workers(world.records, world.clock()):  # noqa: ASYNC110 - what it waits for is a row
            await asyncio.sleep(0.01)


async def test_a_record_names_only_so_many_jobs(world: World) -> None:
    job = await world.submit()
    world.services.metrics.running.update({str(number): job for number in range(MAX_RUNNING + 10)})
    await Heartbeat(world.services).beat()
    (worker,) = await live_workers(world.records, world.clock())
    assert len(worker.running) == MAX_RUNNING


async def test_a_table_that_is_away_does_not_end_the_heartbeat(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.service.heartbeat.BEAT_SECONDS", 0.01)
    world.faults.plant("records.put", TransientError("away"), times=2)
    async with Heartbeat(world.services).serving("run_low"), asyncio.timeout(10):
        while not await live_workers(world.records, world.clock()):  # noqa: ASYNC110 - what it waits for is a row
            await asyncio.sleep(0.01)


async def test_the_silent_are_not_listed_and_then_removed_each_once(world: World) -> None:
    dead = world.instance("dead")
    await Heartbeat(dead).beat()
    await dead.metrics.flush()
    world.clock.advance(STALE.total_seconds() + 1)
    alive = Heartbeat(world.services)
    await alive.beat()
    assert [worker.instance_id for worker in await live_workers(world.records, world.clock())] == ["one"]
    await asyncio.gather(clean_up(world.services), clean_up(world.services))
    assert [record.key for record in await world.records.list(WORKER)] == ["one"]
    await world.services.metrics.flush()
    assert await worker_events(world) == {"heartbeats": 2, "cleaned_up": 1}


async def test_the_counts_of_the_dead_stay_and_the_living_keep_their_row(world: World) -> None:
    dying = world.instance("dying")
    await Heartbeat(dying).beat()
    await dying.metrics.flush()
    alive = Heartbeat(world.services)
    await alive.beat()
    await world.services.metrics.flush()
    world.clock.advance(SILENT.total_seconds() + 1)
    await world.records.put(WORKER, "one", {**(await _record(world, "one")), "last_seen_at": world.clock()})
    await clean_up(world.services)
    await world.services.metrics.flush()
    rows = {record.key: record.value.get("live") for record in await world.records.list(COUNTER)}
    assert not rows["dying"]
    assert rows["one"]
    assert rows[RETIRED]
    assert await worker_events(world) == {"heartbeats": 2, "cleaned_up": 1}
    assert await world.records.list(MINUTE)


async def _record(world: World, key: str) -> dict[str, Any]:
    found = await world.records.get(WORKER, key)
    assert found is not None
    return dict(found.value)


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == __version__
