"""Counts, folds and heartbeats over the records as they are, the fake ones and those in Table Storage."""

from __future__ import annotations

import pytest

from shared.jobs.model import Priority
from shared.service.metrics import (
    COUNTER,
    KEEP_FOLDED,
    KEEP_MINUTES,
    MINUTE,
    RETIRED,
    SILENT,
    Recorder,
    fold_silent,
    forget_minutes,
    minutes,
    totals,
)
from shared.service.ports import PreconditionFailedError, Records
from tests.fakes import Clock
from tests.unit.examples import a_job

pytestmark = pytest.mark.xdist_group("ports")

NOBODY: frozenset[str] = frozenset()


async def test_counts_outlive_their_processes_and_one_that_comes_back(records: Records, clock: Clock) -> None:
    processes = [Recorder(records, clock, f"process-{number}") for number in range(3)]
    job = a_job(job_type="weather", priority=Priority.LOW)

    async def submit_one_each() -> None:
        for process in processes:
            process.submitted(job)
            await process.flush()

    async def counted() -> tuple[int, int]:
        """In all, and in the minutes that are known."""
        counters, rows = await records.list(COUNTER), await records.list(MINUTE)
        by_minute = minutes(counters, rows).values()
        ((_, _, events),) = totals(counters).events()
        return events["submitted"], sum(each["submitted"] for counts in by_minute for _, _, each in counts.events())

    for round_number in range(1, 4):
        await submit_one_each()
        clock.advance(SILENT.total_seconds() + 1)
        await fold_silent(records, clock(), NOBODY)
        assert await counted() == (3 * round_number, 3 * round_number)
        live = [record.key for record in await records.list(COUNTER) if record.value["live"]]
        assert live == [RETIRED]
    clock.advance(max(KEEP_FOLDED, KEEP_MINUTES).total_seconds() + 60)
    await fold_silent(records, clock(), NOBODY)
    await forget_minutes(records, clock())
    assert [record.key for record in await records.list(COUNTER)] == [RETIRED]
    assert await records.list(MINUTE) == []
    await submit_one_each()
    assert await counted() == (12, 3)


async def test_a_fold_may_only_remove_and_spares_what_was_written_since(records: Records, tenant: str) -> None:
    for number in range(100):
        await records.put(tenant, f"{number:03}", number)
    seen = await records.list(tenant)
    await records.put(tenant, "042", "written since")
    with pytest.raises(PreconditionFailedError):
        await records.fold(tenant, {}, seen)
    assert len(await records.list(tenant)) == 100
    await records.fold(tenant, {}, await records.list(tenant))
    assert await records.list(tenant) == []
