"""What a job is: its fields, its states and the records that travel and rest. Plain immutable data, no I/O."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Annotated, Any

import msgspec

#: Raised with every change of JobMessage that an older reader could not understand.
MESSAGE_VERSION = 1

#: A point in time, with its time zone: what came without one is refused.
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class Priority(enum.StrEnum):
    """How urgent a job is; each has a queue of its own. Most urgent first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class JobState(enum.StrEnum):
    """Where a job is in its life; `shared.jobs.states` says what each means and which may follow which."""

    SCHEDULED = "scheduled"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobError(msgspec.Struct, frozen=True):
    """Why an attempt or a job failed. `retryable` tells whether trying again could help."""

    code: str
    message: str
    retryable: bool

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class TimelineEntry(msgspec.Struct, frozen=True):
    """One progress report of a handler."""

    at: Instant
    progress: int
    message: str


class Attempt(msgspec.Struct, frozen=True):
    """One finished attempt: `outcome` is completed, failed, timed_out, cancelled or lost. `run` counts the restarts."""

    attempt: int
    started_at: Instant
    finished_at: Instant
    outcome: str
    error: JobError | None = None
    run: int = 1


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job as its status row holds it: what was asked for, how far it is, and who holds it.

    Times are aware and in UTC. `run` counts the explicit restarts (retry, replay), `attempt` the attempts that have
    started in this run, `fence` every claim there ever was: a later claimant always has the higher number.
    """

    job_id: str
    trace_id: str
    tenant: str
    job_type: str
    priority: Priority
    payload: dict[str, Any]
    tags: tuple[str, ...] = ()
    max_attempts: int = 1
    timeout_seconds: float = 60
    traceparent: str = ""
    created_at: Instant
    run_at: Instant

    state: JobState
    updated_at: Instant
    progress: int = 0
    message: str = ""
    run: int = 1
    attempt: int = 0
    started_at: Instant | None = None
    finished_at: Instant | None = None
    error: JobError | None = None
    attempts: tuple[Attempt, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()

    fence: int = 0
    owner: str = ""
    lease_until: Instant | None = None
    cancel_requested: bool = False


class JobMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What travels through the broker: the whole job, the attempt to make and the status row's ETag to claim it with.

    The row can be made again from it when the table has lost it; `etag` is empty where the sender did not know it.
    `returning` is for a copy whose job a limit has given a place in its line: it does not line up again.
    """

    version: int = MESSAGE_VERSION
    job: Job
    attempt: int
    etag: str = ""
    returning: bool = False


class ResultDocument(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended, as the result store keeps it. `job.fence` and `job.owner` tell whose attempt wrote it."""

    job: Job
    result: Any = None


class VersionedJob(msgspec.Struct, frozen=True):
    """A job with the ETag of the status row that it was read from or written to."""

    job: Job
    etag: str
