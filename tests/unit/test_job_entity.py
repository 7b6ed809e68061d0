"""A job and its table entity: nothing is lost in between, and a merge carries what changed alone."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given

from shared.azure.job_entity import changes, job_of, listed_columns, row_of
from shared.jobs.ids import partition_key, row_key
from shared.jobs.model import Job
from tests.fakes import seeded
from tests.unit.examples import a_job, jobs

KEYS = {"PartitionKey", "RowKey"}
#: Table Storage: the limits of one property and of a whole entity, in bytes.
PROPERTY_LIMIT = 64 * 1024
ENTITY_LIMIT = 1024 * 1024


@given(jobs)
def test_a_row_gives_its_job_back(job: Job) -> None:
    assert job_of(row_of(job)) == job


@given(jobs, jobs)
def test_a_merge_of_the_changes_makes_the_row_of_the_new_job(old: Job, new: Job) -> None:
    new = msgspec.structs.replace(new, job_id=old.job_id)
    assert job_of({**row_of(old), **changes(old, new)}) == new


@given(jobs)
def test_a_job_that_did_not_change_has_nothing_to_merge(job: Job) -> None:
    assert set(changes(job, job)) == KEYS


def test_changes_carry_the_changed_columns_alone() -> None:
    old = a_job(payload={"a": 1}, tags=("t",))
    new = msgspec.structs.replace(old, progress=50, message="half")
    assert changes(old, new) == {
        "PartitionKey": partition_key("default", old.job_id),
        "RowKey": row_key(old.job_id),
        "progress": 50,
        "message": "half",
    }


def test_a_field_that_is_unset_again_is_written_as_such() -> None:
    old = a_job(started_at=a_job().created_at)
    new = msgspec.structs.replace(old, started_at=None)
    assert changes(old, new)["started_at"] == ""


def test_a_long_payload_that_cannot_be_compressed_is_cut_into_properties_that_fit() -> None:
    data = base64.b64encode(seeded(3).randbytes(190 * 1024 * 3 // 4)).decode()
    job = a_job(payload={"data": data})
    entity = row_of(job)
    chunks = [value for value in entity.values() if isinstance(value, bytes)]
    assert len(chunks) > 1
    assert all(len(chunk) <= PROPERTY_LIMIT for chunk in chunks)
    assert sum(len(str(value)) for value in entity.values()) < ENTITY_LIMIT
    assert job_of(entity) == job


def test_a_shorter_payload_ignores_the_chunks_that_a_longer_one_left_behind() -> None:
    data = base64.b64encode(seeded(3).randbytes(150_000)).decode()
    old, new = a_job(payload={"data": data}), a_job(payload={"data": "short"})
    assert job_of({**row_of(old), **changes(old, new)}) == new
    empty = a_job(payload={})
    assert job_of({**row_of(old), **changes(old, empty)}) == empty


@given(jobs)
def test_a_listing_has_all_but_the_long_fields(job: Job) -> None:
    entity = row_of(job)
    listed: dict[str, Any] = {name: entity[name] for name in listed_columns()}
    assert job_of(listed) == msgspec.structs.replace(job, payload={}, attempts=(), timeline=())


@pytest.mark.parametrize("name", ["created_at", "run_at", "updated_at", "finished_at", "lease_until"])
def test_times_sort_as_texts_in_the_table(name: str) -> None:
    whole = a_job().created_at.replace(microsecond=0)
    earlier, later = a_job(**{name: whole}), a_job(**{name: whole.replace(microsecond=1)})
    assert "" < row_of(earlier)[name] < row_of(later)[name]
