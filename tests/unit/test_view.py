"""A job as callers see it."""

from __future__ import annotations

import msgspec
import pytest

from shared.jobs.model import Job, JobError, JobState, ResultDocument
from shared.service.view import job_view, result_view, view_etag
from tests.unit.examples import a_job

#: The fields of a job in the API's contract.
PUBLIC = [
    "job_id",
    "trace_id",
    "tenant",
    "job_type",
    "priority",
    "state",
    "progress",
    "message",
    "attempt",
    "max_attempts",
    "created_at",
    "updated_at",
    "run_at",
    "started_at",
    "finished_at",
    "error",
    "tags",
    "links",
]


def test_a_job_shows_what_the_contract_names_and_no_more() -> None:
    job = a_job(payload={"secret": 1}, owner="instance")
    view = job_view(job)
    assert list(msgspec.to_builtins(view)) == PUBLIC
    base = f"/api/v1/jobs/{job.job_id}"
    assert (view.links.self, view.links.result) == (base, f"{base}/result")


def test_times_are_rfc_3339_in_utc() -> None:
    text = msgspec.json.encode(job_view(a_job())).decode()
    assert '"created_at":"2026-03-01T10:20:30.123456Z"' in text
    assert '"finished_at":null' in text


def test_a_result_adds_payload_outcome_and_history() -> None:
    view = result_view(ResultDocument(job=a_job(payload={"a": 1}), result={"b": 2}))
    assert list(msgspec.to_builtins(view)) == [*PUBLIC, "payload", "attempts", "timeline", "result"]
    assert (view.payload, view.result) == ({"a": 1}, {"b": 2})


CHANGED = [
    {"state": JobState.RUNNING},
    {"progress": 20},
    {"message": "half"},
    {"attempt": 1},
    {"error": JobError("busy", "later", retryable=True)},
    {"updated_at": a_job().updated_at.replace(microsecond=0)},
]


@pytest.mark.parametrize("fields", CHANGED, ids=lambda fields: next(iter(fields)))
def test_the_entity_tag_changes_with_what_a_caller_sees(fields: dict[str, object]) -> None:
    assert view_etag(job_view(a_job())) != view_etag(job_view(a_job(**fields)))


@pytest.mark.parametrize("fields", [{"owner": "b"}, {"lease_until": a_job().created_at}, {"fence": 9}], ids=str)
def test_the_entity_tag_stays_when_only_the_inside_changes(fields: dict[str, object]) -> None:
    other: Job = a_job(**fields)
    assert view_etag(job_view(a_job())) == view_etag(job_view(other))


def test_the_entity_tag_is_a_strong_one() -> None:
    etag = view_etag(job_view(a_job()))
    assert etag[0] == etag[-1] == '"'
    assert len(etag) > 20
