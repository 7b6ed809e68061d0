"""The state machine: what may follow what."""

from __future__ import annotations

import itertools

import pytest

from shared.jobs.model import JobState
from shared.jobs.states import TERMINAL, TRANSITIONS, WAITING, IllegalTransitionError, change
from tests.unit.examples import a_job

S = JobState
LEGAL = {
    (S.SCHEDULED, S.RUNNING),
    (S.SCHEDULED, S.CANCELLED),
    (S.SCHEDULED, S.FAILED),
    (S.QUEUED, S.RUNNING),
    (S.QUEUED, S.CANCELLED),
    (S.QUEUED, S.FAILED),
    (S.RUNNING, S.RUNNING),
    (S.RUNNING, S.COMPLETED),
    (S.RUNNING, S.FAILED),
    (S.RUNNING, S.CANCELLED),
    (S.RUNNING, S.RETRYING),
    (S.RUNNING, S.QUEUED),
    (S.RUNNING, S.SCHEDULED),
    (S.RETRYING, S.RUNNING),
    (S.RETRYING, S.CANCELLED),
    (S.RETRYING, S.FAILED),
    (S.FAILED, S.QUEUED),
    (S.CANCELLED, S.QUEUED),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_a_job_changes_state_only_as_the_machine_says(before: JobState, after: JobState) -> None:
    job = a_job(state=before)
    if (before, after) in LEGAL:
        assert change(job, after, message="moved") == a_job(state=after, message="moved")
    else:
        with pytest.raises(IllegalTransitionError, match=f"{job.job_id} cannot go from {before} to {after}"):
            change(job, after)


def test_an_ended_run_is_left_by_a_new_run_alone_and_a_completed_one_never() -> None:
    assert {state: set(TRANSITIONS[state]) for state in TERMINAL} == {
        S.COMPLETED: set(),
        S.FAILED: {S.QUEUED},
        S.CANCELLED: {S.QUEUED},
    }


def test_every_job_can_end() -> None:
    for state in JobState:
        reached = {state}
        while grown := {after for each in reached for after in TRANSITIONS[each]} - reached:
            reached |= grown
        assert reached & TERMINAL, state


def test_a_state_is_waiting_or_running_or_terminal() -> None:
    assert set(JobState) == WAITING | {S.RUNNING} | TERMINAL
    assert not WAITING & TERMINAL
