"""The status store: what the table and its fake both promise."""

from __future__ import annotations

import asyncio
import base64
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from shared.jobs.ids import hour_of, new_job_id, partition_key
from shared.jobs.model import Attempt, Job, JobError, JobState, Priority, TimelineEntry
from shared.service.ports import (
    ConflictError,
    IdempotencyKey,
    JobFilter,
    PreconditionFailedError,
    StatusStore,
)
from tests.fakes import START, Clock, seeded
from tests.unit.examples import a_job

pytestmark = pytest.mark.xdist_group("ports")

S = JobState
ANY = JobFilter()
_rng = random.SystemRandom()


def job_at(tenant: str, at: datetime = START, **fields: Any) -> Job:
    return a_job(tenant=tenant, job_id=new_job_id(at, _rng), created_at=at, **fields)


async def test_a_row_is_read_as_it_was_written(status: StatusStore, tenant: str) -> None:
    error = JobError("busy", "later \u2603 \u0001", retryable=True)
    job = job_at(
        tenant,
        priority=Priority.LOW,
        payload={"nested": [1, 2.5, None, {"a": "\U0001f600"}]},
        tags=("a", "b c"),
        timeout_seconds=7.5,
        started_at=START,
        error=error,
        attempts=(Attempt(1, START, START, "failed", error),),
        timeline=(TimelineEntry(START, 20, "begun"),),
        cancel_requested=True,
        lease_until=START + timedelta(microseconds=1),
    )
    etag = await status.insert(job)
    found = await status.get(tenant, job.job_id)
    assert found is not None
    assert found.job == job
    assert found.etag == etag


async def test_a_row_that_was_never_written_is_none(status: StatusStore, tenant: str) -> None:
    assert await status.get(tenant, job_at(tenant).job_id) is None


async def test_a_second_row_of_the_same_id_is_a_conflict(status: StatusStore, tenant: str) -> None:
    job = job_at(tenant)
    await status.insert(job)
    with pytest.raises(ConflictError):
        await status.insert(msgspec.structs.replace(job, message="other"))
    found = await status.get(tenant, job.job_id)
    assert found is not None
    assert found.job == job


async def test_an_update_needs_the_etag_that_is_there(status: StatusStore, tenant: str) -> None:
    job = job_at(tenant, payload={"kept": True})
    first = await status.insert(job)
    half = msgspec.structs.replace(job, progress=50, message="half", started_at=START)
    second = await status.update(job, half, first)
    assert second != first
    with pytest.raises(PreconditionFailedError):
        await status.update(job, msgspec.structs.replace(job, progress=99), first)
    found = await status.get(tenant, job.job_id)
    assert found is not None
    assert (found.job, found.etag) == (half, second)
    back = msgspec.structs.replace(half, started_at=None, message="")
    await status.update(half, back, second)
    found = await status.get(tenant, job.job_id)
    assert found is not None
    assert found.job == back


async def test_of_updates_at_once_one_wins(status: StatusStore, tenant: str) -> None:
    job = job_at(tenant)
    etag = await status.insert(job)
    rivals = [msgspec.structs.replace(job, owner=f"owner {number}") for number in range(10)]
    outcomes = await asyncio.gather(*(status.update(job, rival, etag) for rival in rivals), return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PreconditionFailedError) for outcome in outcomes) == 9


async def test_an_update_of_a_missing_row_fails_its_precondition(status: StatusStore, tenant: str) -> None:
    job = job_at(tenant)
    etag = await status.insert(job)
    await status.delete(job, etag)
    with pytest.raises(PreconditionFailedError):
        await status.update(job, msgspec.structs.replace(job, progress=1), etag)


async def test_a_delete_needs_the_etag_and_forgives_a_missing_row(status: StatusStore, tenant: str) -> None:
    job = job_at(tenant)
    first = await status.insert(job)
    second = await status.update(job, msgspec.structs.replace(job, progress=1), first)
    with pytest.raises(PreconditionFailedError):
        await status.delete(job, first)
    await status.delete(job, second)
    assert await status.get(tenant, job.job_id) is None
    await status.delete(job, second)


async def test_a_payload_of_128_kib_that_cannot_be_compressed_comes_back_whole(
    status: StatusStore, tenant: str
) -> None:
    data = base64.b64encode(seeded(5).randbytes(96 * 1024)).decode()
    job = job_at(tenant, payload={"data": data})
    await status.insert(job)
    found = await status.get(tenant, job.job_id)
    assert found is not None
    assert found.job.payload == {"data": data}


async def test_many_rows_are_written_at_once_each_with_its_own_outcome(status: StatusStore, tenant: str) -> None:
    jobs = [job_at(tenant) for _ in range(250)]
    await status.insert(jobs[7])
    await status.insert(jobs[200])
    outcomes = await status.insert_many(jobs)
    assert [index for index, outcome in enumerate(outcomes) if isinstance(outcome, ConflictError)] == [7, 200]
    for index in (0, 8, 249):
        found = await status.get(tenant, jobs[index].job_id)
        assert found is not None
        assert (found.job, found.etag) == (jobs[index], outcomes[index])
    listed = await status.page(tenant, hour_of(jobs[0].job_id), ANY, 1000, None)
    assert len(listed) == 250


async def test_pages_go_newest_first_over_all_shards_without_the_long_fields(status: StatusStore, tenant: str) -> None:
    jobs = [job_at(tenant, START + timedelta(seconds=n), payload={"n": n}) for n in range(25)]
    assert len({partition_key(tenant, job.job_id) for job in jobs}) > 1
    await status.insert_many(jobs)
    hour = hour_of(jobs[0].job_id)
    newest_first = [msgspec.structs.replace(job, payload={}) for job in reversed(jobs)]
    read: list[Job] = []
    while page := await status.page(tenant, hour, ANY, 7, read[-1].job_id if read else None):
        assert len(page) <= 7
        read += page
    assert read == newest_first


async def test_a_filter_picks_by_state_type_and_priority(status: StatusStore, tenant: str) -> None:
    states = [S.QUEUED, S.COMPLETED]
    jobs = [
        job_at(tenant, START + timedelta(seconds=n), state=states[n % 2], job_type=f"type{n % 3}", priority=priority)
        for n, priority in enumerate([Priority.LOW, Priority.HIGH] * 6)
    ]
    await status.insert_many(jobs)

    async def pick(wanted: JobFilter) -> list[Job]:
        return await status.page(tenant, hour_of(jobs[0].job_id), wanted, 100, None)

    jobs.reverse()
    assert await pick(JobFilter(state=S.COMPLETED)) == [job for job in jobs if job.state is S.COMPLETED]
    assert await pick(JobFilter(job_type="type1")) == [job for job in jobs if job.job_type == "type1"]
    both = JobFilter(priority=Priority.LOW, job_type="type0", state=S.QUEUED)
    wanted = [job for job in jobs if (job.priority, job.job_type, job.state) == (Priority.LOW, "type0", S.QUEUED)]
    assert await pick(both) == wanted
    assert wanted
    assert await pick(JobFilter(job_type="it's' or RowKey gt '")) == []


async def test_the_hours_with_rows_are_known_newest_first(status: StatusStore, tenant: str) -> None:
    moments = [
        datetime(2026, 3, 1, 23, tzinfo=UTC),
        datetime(2026, 3, 2, 0, tzinfo=UTC),
        datetime(2025, 12, 31, tzinfo=UTC),
    ]
    for at in moments:
        await status.insert(job_at(tenant, at))
    assert await status.hours(tenant) == ["2026030200", "2026030123", "2025123100"]
    assert await status.hours(tenant, before="2026030123") == ["2026030123", "2025123100"]
    assert await status.hours(f"{tenant}x") == []


async def test_unfinished_jobs_come_whole_enough_to_be_sent_again(status: StatusStore, tenant: str) -> None:
    jobs = {state: job_at(tenant, state=state, payload={"note": state}) for state in JobState}
    etags = {state: await status.insert(job) for state, job in jobs.items()}
    found = await status.unfinished(tenant, hour_of(jobs[S.QUEUED].job_id))
    alive = {S.SCHEDULED, S.QUEUED, S.RUNNING, S.RETRYING}
    assert {each.job.state for each in found} == alive
    for each in found:
        assert (each.job, each.etag) == (jobs[each.job.state], etags[each.job.state])


async def test_unfinished_jobs_are_counted_over_all_hours_up_to_the_limit(status: StatusStore, tenant: str) -> None:
    assert await status.count_unfinished(tenant, 5) == 0
    for hours in (0, 2):
        for state in JobState:
            await status.insert(job_at(tenant, START - timedelta(hours=hours), state=state))
    assert await status.count_unfinished(tenant, 100) == 8
    assert await status.count_unfinished(tenant, 8) == 8
    assert await status.count_unfinished(tenant, 7) == 7
    assert await status.count_unfinished(tenant, 1) == 1


async def test_open_jobs_are_told_newest_hour_first_up_to_the_limit(status: StatusStore, tenant: str) -> None:
    assert await status.open_jobs(tenant, 5) == []
    for hours, job_type in ((2, "old"), (0, "new")):
        for state in (S.QUEUED, S.RUNNING, S.COMPLETED):
            at = START - timedelta(hours=hours)
            await status.insert(job_at(tenant, at, state=state, job_type=job_type, priority=Priority.LOW))
    found = await status.open_jobs(tenant, 100)
    assert sorted((job.state, job.job_type, job.priority) for job in found) == [
        (state, job_type, Priority.LOW) for state in (S.QUEUED, S.RUNNING) for job_type in ("new", "old")
    ]
    assert [job.job_type for job in await status.open_jobs(tenant, 3)][:2] == ["new", "new"]
    assert len(await status.open_jobs(tenant, 3)) == 3


async def test_expiry_removes_what_ended_before_and_an_hour_that_is_over_and_empty(
    status: StatusStore, tenant: str
) -> None:
    early, late = START + timedelta(minutes=1), START + timedelta(minutes=2)
    gone = [job_at(tenant, state=S.COMPLETED, finished_at=early) for _ in range(130)]
    kept = job_at(tenant, state=S.FAILED, finished_at=late)
    waiting = job_at(tenant)
    await status.insert_many([*gone, kept, waiting])
    hour = hour_of(kept.job_id)
    assert await status.expire(tenant, hour, late) == 130
    assert {job.job_id for job in await status.page(tenant, hour, ANY, 500, None)} == {kept.job_id, waiting.job_id}

    next_day = START + timedelta(days=1)
    assert await status.expire(tenant, hour, next_day) == 1
    assert await status.hours(tenant) == [hour]  # one still waits
    found = await status.get(tenant, waiting.job_id)
    assert found is not None
    await status.delete(found.job, found.etag)
    assert await status.expire(tenant, hour, next_day) == 0
    assert await status.hours(tenant) == []


async def test_an_hour_that_left_the_index_comes_back_with_its_next_row(
    status: StatusStore, tenant: str, clock: Clock
) -> None:
    job = job_at(tenant, state=S.COMPLETED, finished_at=START)
    await status.insert(job)
    hour = hour_of(job.job_id)
    clock.advance(2 * 3600)
    await status.expire(tenant, hour, clock.now)
    assert await status.hours(tenant) == []
    await status.insert(job_at(tenant))
    assert await status.hours(tenant) == [hour]


def a_key(name: str, job_id: str, **fields: Any) -> IdempotencyKey:
    return IdempotencyKey(name, job_id, "digest of " + job_id, fields.get("expires_at", START + timedelta(hours=24)))


async def test_the_first_of_twenty_that_remember_a_key_at_once_holds_it_for_all(
    status: StatusStore, tenant: str
) -> None:
    keys = [a_key("a key / with # any ? chars \\ \u2603", f"job {number}") for number in range(20)]
    held = await asyncio.gather(*(status.remember_key(tenant, key) for key in keys))
    assert len(set(held)) == 1
    assert held[0] in keys
    assert await status.remember_key(tenant, keys[5]) == held[0]


async def test_keys_of_other_names_and_tenants_are_others(status: StatusStore, tenant: str) -> None:
    one, two = a_key("one", "job 1"), a_key("two", "job 2")
    assert await status.remember_key(tenant, one) == one
    assert await status.remember_key(tenant, two) == two
    elsewhere = a_key("one", "job 3")
    assert await status.remember_key(f"{tenant}x", elsewhere) == elsewhere


async def test_a_key_that_lapsed_is_free_and_one_of_many_takes_it(
    status: StatusStore, tenant: str, clock: Clock
) -> None:
    await status.remember_key(tenant, a_key("key", "old"))
    clock.advance(24 * 3600 + 1)
    later = clock.now + timedelta(hours=24)
    keys = [a_key("key", f"new {number}", expires_at=later) for number in range(20)]
    held = await asyncio.gather(*(status.remember_key(tenant, key) for key in keys))
    assert len(set(held)) == 1
    assert held[0] in keys
