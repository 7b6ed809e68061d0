"""The state machine of a job, as data: every change of state goes through `change`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from shared.jobs.model import Attempt, Job, JobError, JobState

S = JobState

#: Which states may follow which. A claim that takes over from a dead owner goes from running to running.
TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    S.SCHEDULED: frozenset({S.RUNNING, S.CANCELLED, S.FAILED}),
    S.QUEUED: frozenset({S.RUNNING, S.CANCELLED, S.FAILED}),
    S.RUNNING: frozenset({S.RUNNING, S.COMPLETED, S.FAILED, S.CANCELLED, S.RETRYING, S.QUEUED, S.SCHEDULED}),
    S.RETRYING: frozenset({S.RUNNING, S.CANCELLED, S.FAILED}),
    # Only an explicit retry or replay leaves a terminal state, and it starts a new run.
    S.COMPLETED: frozenset(),
    S.FAILED: frozenset({S.QUEUED}),
    S.CANCELLED: frozenset({S.QUEUED}),
}

#: Each state in a few words, for people.
MEANINGS: dict[JobState, str] = {
    S.SCHEDULED: "due later; a broker message waits for its time",
    S.QUEUED: "due now; waits in its queue",
    S.RUNNING: "an instance holds its lease and runs its handler",
    S.RETRYING: "an attempt failed; the next waits for its time",
    S.COMPLETED: "ended well; the result is stored",
    S.FAILED: "ended badly: no attempt is left, or the failure was permanent",
    S.CANCELLED: "ended because somebody asked for it",
}

#: States that end a run.
TERMINAL = frozenset({S.COMPLETED, S.FAILED, S.CANCELLED})

#: States in which a broker message, not an instance, holds the job.
WAITING = frozenset({S.SCHEDULED, S.QUEUED, S.RETRYING})


class IllegalTransitionError(Exception):
    """The code asked for a change of state that the machine does not have: a defect, never a caller's fault."""

    def __init__(self, job: Job, to: JobState) -> None:
        super().__init__(f"job {job.job_id} cannot go from {job.state} to {to}")


def change(job: Job, to: JobState, **fields: Any) -> Job:
    """The job in state `to` with the given fields replaced. Raises IllegalTransitionError."""
    if to not in TRANSITIONS[job.state]:
        raise IllegalTransitionError(job, to)
    return msgspec.structs.replace(job, state=to, **fields)


def with_attempt(job: Job, now: datetime, outcome: str, error: JobError | None = None) -> tuple[Attempt, ...]:
    """The job's history with the present attempt, which ends now."""
    return (*job.attempts, Attempt(job.attempt, job.started_at or now, now, outcome, error, job.run))


def stands(ended: Job, claim: Job) -> bool:
    """Whether a stored end of a job holds against a row, message or claim of it, and may not be written over.

    The row is always written before the result, so an end whose fence is as high belongs to this claim, or to a later
    one that the table has lost; a lower fence is a stale owner's. Only a cancelled end stands against every claim of
    its run: whoever was told so relies on it.
    """
    same_run = ended.run == claim.run and (ended.fence >= claim.fence or ended.state is S.CANCELLED)
    return ended.run > claim.run or same_run
