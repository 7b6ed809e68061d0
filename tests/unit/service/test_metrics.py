"""Counts that are written, folded and read by several at once, with a table that fails in every way."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.jobs.metrics import Counts, minute_of
from shared.jobs.model import Attempt, Job, JobState, Priority
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
from shared.service.ports import PreconditionFailedError, TransientError
from tests.fakes import Clock, FakeRecords, Faults
from tests.unit.examples import a_job

JOB = a_job(job_type="weather", priority=Priority.LOW)
NOBODY: frozenset[str] = frozenset()
CALLS = ("records.create", "records.replace", "records.get", "records.put", "records.fold", "records.list")


class Table:
    """The records, processes that count into them, and how many jobs were submitted in truth."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.records = FakeRecords(self.faults)
        self.processes: list[Recorder] = []
        self.truth = 0

    def start(self) -> Recorder:
        recorder = Recorder(self.records, self.clock, f"process-{len(self.processes)}")
        self.processes.append(recorder)
        return recorder

    def submit(self, recorder: Recorder) -> None:
        recorder.submitted(JOB)
        self.truth += 1

    async def submitted(self) -> int:
        return _submitted(totals(await self.records.list(COUNTER)))

    async def by_minute(self) -> dict[str, int]:
        found = minutes(await self.records.list(COUNTER), await self.records.list(MINUTE))
        return {minute: _submitted(counts) for minute, counts in found.items()}

    async def janitor(self) -> None:
        try:
            await fold_silent(self.records, self.clock(), NOBODY)
        except TransientError:
            return


def _submitted(counts: Counts) -> int:
    return sum(events["submitted"] for _, _, events in counts.events())


@pytest.fixture
def table() -> Table:
    return Table()


async def test_what_all_processes_count_adds_up(table: Table) -> None:
    for recorder in (table.start(), table.start()):
        table.submit(recorder)
        table.submit(recorder)
        await recorder.flush()
    assert await table.submitted() == 4
    assert await table.by_minute() == {minute_of(table.clock()): 4}


async def test_counts_are_written_by_themselves_soon(table: Table) -> None:
    table.submit(table.start())
    async with asyncio.timeout(10):
        while await table.submitted() == 0:  # noqa: ASYNC110 - what it waits for is a row
            await asyncio.sleep(0.05)


async def test_the_last_invocation_leaves_nothing_unwritten_and_the_others_do_not_wait(table: Table) -> None:
    recorder = table.start()
    async with recorder.invocation():
        async with recorder.invocation():
            table.submit(recorder)
        assert await table.submitted() == 0
        table.submit(recorder)
    assert await table.submitted() == 2


async def test_one_at_a_time_is_written_at_once_and_not_held_up(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.service.metrics.FLUSH_SECONDS", 3600)
    recorder = table.start()
    for number in range(1, 4):
        async with asyncio.timeout(10), recorder.invocation():
            table.submit(recorder)
        assert await table.submitted() == number


async def test_where_several_run_at_once_the_last_one_waits_for_the_next_write_or_its_successor(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = table.start()
    async with recorder.invocation(), recorder.invocation():
        table.submit(recorder)
    assert await table.submitted() == 1
    monkeypatch.setattr("shared.service.metrics.FLUSH_SECONDS", 3600)

    async def work() -> None:
        async with recorder.invocation():
            table.submit(recorder)
            await asyncio.sleep(0.01)

    first = asyncio.create_task(work())
    await asyncio.sleep(0.05)
    assert not first.done()
    second = asyncio.create_task(work())
    async with asyncio.timeout(10):
        await first
    assert await table.submitted() == 1
    second.cancel()
    await asyncio.wait({second}, timeout=10)
    assert await table.submitted() == 3


async def test_a_table_that_is_away_only_delays_counts(table: Table) -> None:
    recorder = table.start()
    table.faults.plant("", TransientError("away"), times=100)
    async with recorder.invocation():
        table.submit(recorder)
    table.faults.clear()
    assert await table.submitted() == 0
    await recorder.flush()
    assert await table.submitted() == 1


async def test_a_table_that_never_answers_holds_nobody_up_for_long(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.service.metrics.FLUSH_PATIENCE", 0.1)
    recorder = table.start()
    never = asyncio.Event()

    async def hang(*_: object) -> str:
        await never.wait()
        return ""

    monkeypatch.setattr(table.records, "create", hang)
    async with asyncio.timeout(10), recorder.invocation():
        table.submit(recorder)
    monkeypatch.undo()
    await recorder.flush()
    assert await table.submitted() == 1


async def test_silent_processes_are_folded_and_the_living_are_not(table: Table) -> None:
    for recorder in (table.start(), table.start(), table.start()):
        table.submit(recorder)
        await recorder.flush()
    table.clock.advance(SILENT.total_seconds() + 1)
    table.submit(table.processes[2])
    await table.processes[2].flush()
    await fold_silent(table.records, table.clock(), frozenset({"process-1"}))
    rows = {record.key: record.value for record in await table.records.list(COUNTER)}
    assert [key for key, value in rows.items() if value.get("live")] == ["process-1", "process-2", RETIRED]
    assert await table.submitted() == table.truth == 4


async def test_one_thought_dead_goes_on_where_it_was_folded(table: Table) -> None:
    recorder = table.start()
    for number in range(1, 4):
        table.submit(recorder)
        await recorder.flush()
        assert await table.submitted() == number
        table.clock.advance(SILENT.total_seconds() + 1)
        await table.janitor()
        assert await table.submitted() == number


async def test_what_was_folded_is_forgotten_in_the_end_and_still_does_not_count_twice(table: Table) -> None:
    recorder = table.start()
    table.submit(recorder)
    await recorder.flush()
    for _ in range(3):
        table.clock.advance(KEEP_FOLDED.total_seconds() + 1)
        await table.janitor()
    assert [record.key for record in await table.records.list(COUNTER)] == [RETIRED]
    table.submit(recorder)
    await recorder.flush()
    assert await table.submitted() == 2


async def test_a_row_that_the_table_lost_is_written_again_in_full(table: Table) -> None:
    recorder = table.start()
    table.submit(recorder)
    await recorder.flush()
    await table.records.delete(COUNTER, "process-0")
    table.submit(recorder)
    await recorder.flush()
    assert await table.submitted() == 2


async def test_of_two_janitors_at_once_only_one_folds(table: Table) -> None:
    for _ in range(3):
        recorder = table.start()
        table.submit(recorder)
        await recorder.flush()
    table.clock.advance(SILENT.total_seconds() + 1)
    await asyncio.gather(table.janitor(), table.janitor())
    assert await table.submitted() == 3


async def test_a_minute_that_is_over_gets_a_row_of_its_own_and_is_forgotten_in_the_end(table: Table) -> None:
    recorder = table.start()
    table.submit(recorder)
    first = minute_of(table.clock())
    await recorder.flush()
    table.clock.advance(60)
    table.submit(recorder)
    await recorder.flush()
    assert [record.key for record in await table.records.list(MINUTE)] == [f"{first}|process-0"]
    assert await table.by_minute() == {first: 1, minute_of(table.clock()): 1}
    table.clock.advance(KEEP_MINUTES.total_seconds())
    await forget_minutes(table.records, table.clock())
    assert await table.records.list(MINUTE) == []


async def test_the_last_minutes_of_a_silent_process_outlive_it(table: Table) -> None:
    recorder = table.start()
    table.submit(recorder)
    await recorder.flush()
    before = await table.by_minute()
    table.clock.advance(SILENT.total_seconds() + 1)
    await table.janitor()
    assert await table.by_minute() == before != {}


@pytest.mark.parametrize(
    ("state", "outcome", "expected"),
    [
        (JobState.COMPLETED, "completed", {"completed": 1, "processed": 1}),
        (JobState.FAILED, "failed", {"failed": 1, "dead": 1, "processed": 1}),
        (JobState.FAILED, "lost", {"failed": 1, "dead": 1}),
        (JobState.RETRYING, "timed_out", {"retried": 1, "processed": 1}),
        (JobState.CANCELLED, "cancelled", {"cancelled": 1, "processed": 1}),
    ],
)
async def test_what_becomes_of_an_attempt_is_counted(
    table: Table, state: JobState, outcome: str, expected: dict[str, int]
) -> None:
    recorder = table.start()
    recorder.settled(_ended(state, outcome, after=2))
    await recorder.flush()
    counts = totals(await table.records.list(COUNTER))
    ((job_type, priority, events),) = counts.events()
    assert (job_type, priority) == ("weather", "low")
    assert {event: count for event, count in events.items() if count} == expected
    runs = counts.run_times()
    assert runs.keys() == ({"weather"} if "processed" in expected else set())
    assert all(histogram.seconds == 2 for histogram in runs.values())


async def test_a_job_that_is_cancelled_in_line_between_attempts_ran_no_attempt(table: Table) -> None:
    recorder = table.start()
    retried = _ended(JobState.RETRYING, "failed", after=2)
    later = retried.updated_at + timedelta(seconds=1)
    recorder.settled(msgspec.structs.replace(retried, state=JobState.CANCELLED, updated_at=later))
    await recorder.flush()
    ((_, _, events),) = totals(await table.records.list(COUNTER)).events()
    assert {event for event, count in events.items() if count} == {"cancelled"}


async def test_a_wait_begins_when_the_job_is_due_and_not_before_its_last_attempt_ended(table: Table) -> None:
    recorder = table.start()
    start = table.clock()
    due = start + timedelta(seconds=5)
    with recorder.run(msgspec.structs.replace(JOB, run_at=due, started_at=due + timedelta(seconds=1))):
        assert list(recorder.running) == [JOB.job_id]
    assert recorder.running == {}
    taken_over = _ended(JobState.RUNNING, "lost", after=60)
    begun = taken_over.updated_at + timedelta(seconds=0.25)
    with recorder.run(msgspec.structs.replace(taken_over, started_at=begun)):
        pass
    await recorder.flush()
    (histogram,) = totals(await table.records.list(COUNTER)).wait_times().values()
    assert (histogram.count, histogram.seconds) == (2, 1.25)


def _ended(state: JobState, outcome: str, after: float) -> Job:
    end = JOB.run_at + timedelta(seconds=after)
    attempt = Attempt(1, JOB.run_at, end, outcome)
    return msgspec.structs.replace(JOB, state=state, attempts=(attempt,), updated_at=end)


steps = st.one_of(
    st.tuples(st.just("submit"), st.integers(0, 2)),
    st.tuples(st.just("flush"), st.integers(0, 2)),
    st.tuples(st.just("janitors"), st.integers(1, 2)),
    # Long enough for a fold, an hour for its trace to go, or neither.
    st.tuples(st.just("advance"), st.sampled_from([1, 60, 301, 1800])),
    st.tuples(st.just("fault"), st.tuples(st.sampled_from(CALLS), st.booleans(), st.integers(0, 3))),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(steps, max_size=40))
async def test_nothing_counts_twice_or_is_lost_whatever_fails_and_whoever_folds(plan: list[tuple[str, object]]) -> None:
    table = Table()
    for _ in range(3):
        table.start()
    seen, cut_off = 0, 0
    for step in plan:
        match step:
            case ("submit", int(which)):
                table.submit(table.processes[which])
            case ("flush", int(which)):
                await asyncio.gather(table.processes[which].flush(), table.processes[(which + 1) % 3].flush())
            case ("janitors", int(count)):
                await asyncio.gather(*(table.janitor() for _ in range(count)), table.processes[0].flush())
            case ("advance", int(seconds)):
                cut_off += seconds
                if cut_off >= KEEP_FOLDED.total_seconds():  # for nobody is promised more than that
                    table.faults.clear()
                    cut_off = 0
                await _flush_all(table)
                table.clock.advance(seconds)
            case ("fault", (str(call), bool(after), int(skip))):
                error = TransientError("cut off", unknown_outcome=True)
                table.faults.plant(call, error, after=after, skip=skip)
        table.records._faults = Faults()
        now_seen = await table.submitted()
        table.records._faults = table.faults
        assert seen <= now_seen <= table.truth
        seen = now_seen
    table.faults.clear()
    await _flush_all(table)
    assert await table.submitted() == table.truth
    await table.janitor()
    assert await table.submitted() == table.truth


async def _flush_all(table: Table) -> None:
    for recorder in table.processes:
        await recorder.flush()


async def test_a_row_that_keeps_changing_is_left_for_the_next_flush(table: Table) -> None:
    recorder = table.start()
    table.submit(recorder)
    table.faults.plant("records.create", PreconditionFailedError("no"), times=3)
    await recorder.flush()
    assert await table.submitted() == 0
    await recorder.flush()
    assert await table.submitted() == 1
