"""Job ids and the keys that are computed from them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.ids import (
    SHARDS,
    hour_end,
    hour_of,
    id_time,
    inverted_hour,
    is_job_id,
    job_id_of,
    message_id,
    new_job_id,
    partition_key,
    row_key,
    shard_keys,
)
from tests.fakes import seeded
from tests.unit.examples import job_ids, moments

A_MILLISECOND = timedelta(milliseconds=1)


@given(moments, st.integers())
def test_an_id_is_a_uuid_of_version_7_that_tells_its_time(now: datetime, seed: int) -> None:
    job_id = new_job_id(now, seeded(seed))
    parsed = uuid.UUID(job_id)
    assert is_job_id(job_id)
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert abs(id_time(job_id) - now) <= A_MILLISECOND


@given(moments, moments, st.integers(), st.integers())
def test_ids_sort_by_time(one: datetime, other: datetime, seed: int, other_seed: int) -> None:
    first, second = sorted((one, other))
    if second - first > A_MILLISECOND:
        assert new_job_id(first, seeded(seed)) < new_job_id(second, seeded(other_seed))


def test_ids_of_one_moment_differ() -> None:
    rng = seeded(1)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert len({new_job_id(now, rng) for _ in range(1000)}) == 1000


@given(job_ids)
def test_a_row_key_gives_the_id_back(job_id: str) -> None:
    assert job_id_of(row_key(job_id)) == job_id


@given(job_ids, job_ids)
def test_ascending_row_keys_list_the_newest_job_first(one: str, other: str) -> None:
    assert (one > other) == (row_key(one) < row_key(other))


@given(job_ids)
def test_a_partition_is_one_of_its_hours_shards(job_id: str) -> None:
    hour = hour_of(job_id)
    assert partition_key("acme", job_id) in shard_keys("acme", hour)
    assert hour_end(hour) - timedelta(hours=1) <= id_time(job_id) < hour_end(hour)


def test_the_jobs_of_an_hour_spread_evenly_over_its_shards() -> None:
    rng = seeded(1)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    keys = [partition_key("default", new_job_id(now, rng)) for _ in range(4000)]
    counts = [keys.count(shard) for shard in shard_keys("default", "2026030100")]
    assert len(counts) == SHARDS
    assert all(850 < count < 1150 for count in counts)


@given(moments, moments)
def test_inverted_hours_sort_the_newest_first_as_texts(one: datetime, other: datetime) -> None:
    hours = one.strftime("%Y%m%d%H"), other.strftime("%Y%m%d%H")
    assert (hours[0] > hours[1]) == (inverted_hour(hours[0]) < inverted_hour(hours[1]))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "batch",
        "0190F5C1-7D2E-7ABC-8DEF-0123456789AB",
        "0190f5c17d2e7abc8def0123456789ab",
        "0190f5c1-7d2e-4abc-8def-0123456789ab",
        "0190f5c1-7d2e-7abc-cdef-0123456789ab",
        "0190f5c1-7d2e-7abc-8def-0123456789ab\n",
        " 0190f5c1-7d2e-7abc-8def-0123456789ab",
        "0190f5c1-7d2e-7abc-8def-0123456789ag",
    ],
)
def test_anything_but_a_canonical_uuid_of_version_7_is_no_job_id(text: str) -> None:
    assert not is_job_id(text)


def test_message_ids_tell_attempts_runs_and_copies_apart_and_fit_the_broker() -> None:
    job_id = new_job_id(datetime(2026, 3, 1, tzinfo=UTC), seeded(1))
    ids = [message_id(job_id, 1, 1), message_id(job_id, 1, 2), message_id(job_id, 2, 1), message_id(job_id, 1, 1, "c0")]
    assert len(set(ids)) == 4
    assert all(len(each) <= 128 for each in ids)  # Service Bus takes no longer one
