"""A job as callers see it: the shape that the API answers and the page is pushed."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from shared.jobs.model import Job, ResultDocument

API_BASE = "/api/v1"


def job_view(job: Job) -> dict[str, Any]:
    """The public fields of a job."""
    return {
        "job_id": job.job_id,
        "trace_id": job.trace_id,
        "tenant": job.tenant,
        "job_type": job.job_type,
        "priority": job.priority,
        "state": job.state,
        "progress": job.progress,
        "message": job.message,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "created_at": job.created_at,
        "updated_at": job.updated_at,
        "run_at": job.run_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "error": job.error,
        "tags": job.tags,
        "links": {"self": f"{API_BASE}/jobs/{job.job_id}", "result": f"{API_BASE}/jobs/{job.job_id}/result"},
    }


def result_view(document: ResultDocument) -> dict[str, Any]:
    """How a job ended: its result or error, its attempts and its timeline, with the job's own fields around them."""
    return {
        **job_view(document.job),
        "payload": document.job.payload,
        "result": document.result,
        "attempts": document.job.attempts,
        "timeline": document.job.timeline,
    }


def view_etag(view: dict[str, Any]) -> str:
    """A strong entity tag of what a caller sees; it changes exactly when the answer does."""
    return f'"{hashlib.sha256(msgspec.json.encode(view)).hexdigest()[:32]}"'
