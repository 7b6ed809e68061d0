"""Jobs to test with: one that a test shapes, and hypothesis strategies for any."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from shared.jobs.ids import new_job_id
from shared.jobs.model import Attempt, Job, JobError, JobState, Priority, TimelineEntry
from tests.fakes import START, seeded


def a_job(**fields: Any) -> Job:
    """A queued job with the given fields."""
    created_at = fields.get("created_at", START)
    defaults: dict[str, Any] = {
        "job_id": new_job_id(created_at, seeded(1)),
        "trace_id": "0" * 31 + "1",
        "tenant": "default",
        "job_type": "work",
        "priority": Priority.MEDIUM,
        "payload": {},
        "created_at": created_at,
        "run_at": created_at,
        "updated_at": created_at,
        "state": JobState.QUEUED,
    }
    return Job(**{**defaults, **fields})


moments = st.datetimes(datetime(2000, 1, 1), datetime(2199, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants naive bounds
#: What one column of a table holds, without the surrogates that no JSON has.
texts = st.text(st.characters(codec="utf-8"), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
errors = st.builds(JobError, code=texts, message=texts, retryable=st.booleans())
attempts = st.builds(
    Attempt,
    attempt=st.integers(1, 25),
    started_at=moments,
    finished_at=moments,
    outcome=st.sampled_from(["completed", "failed", "timed_out", "cancelled", "lost"]),
    error=st.none() | errors,
)
timeline = st.builds(TimelineEntry, at=moments, progress=st.integers(0, 100), message=texts)
job_ids = st.builds(new_job_id, moments, st.randoms(use_true_random=False))
jobs = st.builds(
    Job,
    job_id=job_ids,
    trace_id=texts,
    tenant=st.just("default"),
    job_type=texts,
    priority=st.sampled_from(Priority),
    payload=st.dictionaries(texts, json_values, max_size=3),
    tags=st.lists(texts, max_size=3).map(tuple),
    max_attempts=st.integers(1, 26),
    timeout_seconds=st.floats(1, 1700),
    traceparent=texts,
    created_at=moments,
    run_at=moments,
    state=st.sampled_from(JobState),
    updated_at=moments,
    progress=st.integers(0, 100),
    message=texts,
    run=st.integers(1, 100),
    attempt=st.integers(0, 26),
    started_at=st.none() | moments,
    finished_at=st.none() | moments,
    error=st.none() | errors,
    attempts=st.lists(attempts, max_size=3).map(tuple),
    timeline=st.lists(timeline, max_size=3).map(tuple),
    fence=st.integers(0, 1000),
    owner=texts,
    lease_until=st.none() | moments,
    cancel_requested=st.booleans(),
)
