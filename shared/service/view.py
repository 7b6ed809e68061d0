"""A job as callers see it: the shape that the API answers and the page is pushed."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from shared.jobs.model import Attempt, Instant, Job, JobError, JobState, Priority, ResultDocument, TimelineEntry
from shared.service.ports import DeadLetter

API_BASE = "/api/v1"


class Links(msgspec.Struct, frozen=True):
    """Where the job and its result are read."""

    self: str
    result: str


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job: what was asked for and how far it is."""

    job_id: str
    trace_id: str
    tenant: str
    job_type: str
    priority: Priority
    state: JobState
    progress: int
    message: str
    attempt: int
    max_attempts: int
    created_at: Instant
    updated_at: Instant
    run_at: Instant
    started_at: Instant | None
    finished_at: Instant | None
    error: JobError | None
    tags: tuple[str, ...]
    links: Links


class DetailsView(JobView, frozen=True, kw_only=True):
    """A job with its payload, the attempts that have ended and what it has reported."""

    payload: dict[str, Any]
    attempts: tuple[Attempt, ...]
    timeline: tuple[TimelineEntry, ...]


class ResultView(DetailsView, frozen=True, kw_only=True):
    """How a job ended."""

    result: Any


class DeadLetterView(msgspec.Struct, frozen=True, kw_only=True):
    """A dead letter: which job it was, why it died and since when. The job's fields are null where it is unreadable."""

    message_id: str
    reason: str
    description: str
    dead_since: Instant
    job_id: str | None
    job_type: str | None
    priority: Priority | None
    run: int | None
    attempt: int | None


def dead_letter_view(letter: DeadLetter) -> DeadLetterView:
    """The public fields of a dead letter."""
    message = letter.message
    return DeadLetterView(
        message_id=letter.message_id,
        reason=letter.reason,
        description=letter.description,
        dead_since=letter.dead_since,
        job_id=letter.job_id,
        job_type=letter.job_type,
        priority=message.job.priority if message else None,
        run=message.job.run if message else None,
        attempt=message.attempt if message else None,
    )


def job_view(job: Job) -> JobView:
    """The public fields of a job."""
    return JobView(**_fields(job))


def details_view(job: Job) -> DetailsView:
    """The public fields of a job, its payload and its history so far."""
    return DetailsView(**_fields(job), **_details(job))


def result_view(document: ResultDocument) -> ResultView:
    """The public fields of an ended job, its payload, its history and its result."""
    return ResultView(**_fields(document.job), **_details(document.job), result=document.result)


def view_etag(view: JobView) -> str:
    """A strong entity tag of what a caller sees; it changes exactly when the answer does."""
    return f'"{hashlib.sha256(msgspec.json.encode(view)).hexdigest()[:32]}"'


def _fields(job: Job) -> dict[str, Any]:
    fields = {name: getattr(job, name) for name in JobView.__struct_fields__ if name != "links"}
    here = f"{API_BASE}/jobs/{job.job_id}"
    return {**fields, "links": Links(here, f"{here}/result")}


def _details(job: Job) -> dict[str, Any]:
    return {"payload": job.payload, "attempts": job.attempts, "timeline": job.timeline}
