"""DELETE /jobs/{id}, POST /jobs/{id}/retry and the dead letters."""

from __future__ import annotations

import pytest

from tests.contract.http_api.api import Api, problem_of

pytestmark = pytest.mark.xdist_group("stack")

NEVER_GIVEN_OUT = "019ca8e9-f22b-7a3b-8199-c6b41c80317f"


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(api: Api) -> None:
    job = api.submit(delay_seconds=30)  # a second may pass before the call on a busy machine
    answer = api.call("DELETE", f"/jobs/{job['job_id']}")
    assert answer.status_code == 200
    assert answer.json()["state"] == "cancelled"
    result = api.get(job["links"]["result"]).json()
    assert (result["state"], result["attempts"], result["result"]) == ("cancelled", [], None)
    problem_of(api.call("DELETE", f"/jobs/{job['job_id']}"), 409, "already_finished")


def test_a_running_job_is_asked_to_give_way(api: Api) -> None:
    job = api.submit(payload={"sleep_seconds": 20, "progress_steps": 400})
    while api.get(job["links"]["self"], params={"wait": 5}).json()["state"] != "running":
        continue
    answer = api.call("DELETE", f"/jobs/{job['job_id']}")
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    done = api.finished(job)
    assert done["state"] == "cancelled"
    assert done["progress"] < 100
    assert [each["outcome"] for each in api.get(job["links"]["result"]).json()["attempts"]] == ["cancelled"]


def test_a_finished_job_cannot_be_cancelled(api: Api) -> None:
    job = api.finished(api.submit())
    problem = problem_of(api.call("DELETE", f"/jobs/{job['job_id']}"), 409, "already_finished")
    assert problem["state"] == "completed"
    assert api.get(job["links"]["self"]).json() == job


def test_a_failed_job_runs_again_under_its_id(api: Api) -> None:
    failed = api.finished(api.submit(payload={"fail_times": 1}, max_retries=0))
    assert failed["state"] == "failed"
    answer = api.post(f"/jobs/{failed['job_id']}/retry")
    assert answer.status_code == 202
    assert (answer.json()["job_id"], answer.json()["state"]) == (failed["job_id"], "queued")
    again = api.finished(answer.json())
    assert again["state"] == "failed"  # it fails its first attempt in every run
    attempts = api.get(failed["links"]["result"]).json()["attempts"]
    assert [(each["run"], each["attempt"], each["outcome"]) for each in attempts] == [
        (1, 1, "failed"),
        (2, 1, "failed"),
    ]


def test_a_cancelled_job_may_run_again_and_a_completed_or_waiting_one_not(api: Api) -> None:
    cancelled = api.submit(delay_seconds=3600)
    api.call("DELETE", f"/jobs/{cancelled['job_id']}")
    assert api.finished(api.post(f"/jobs/{cancelled['job_id']}/retry").json())["state"] == "completed"
    problem_of(api.post(f"/jobs/{cancelled['job_id']}/retry"), 409, "not_retryable")
    waiting = api.submit(delay_seconds=3600)
    problem_of(api.post(f"/jobs/{waiting['job_id']}/retry"), 409, "not_retryable")


@pytest.mark.parametrize("job_id", ["nope", NEVER_GIVEN_OUT])
def test_neither_works_on_a_job_that_is_not_there(api: Api, job_id: str) -> None:
    problem_of(api.call("DELETE", f"/jobs/{job_id}"), 404, "job_not_found")
    problem_of(api.post(f"/jobs/{job_id}/retry"), 404, "job_not_found")


def dead_letters(api: Api, job_id: str) -> list[str]:
    """The reasons of a job's dead letters."""
    letters = api.get("/dead-letters", params={"limit": 200}).json()["dead_letters"]
    return [letter["reason"] for letter in letters if letter["job_id"] == job_id]


def test_a_dead_letter_is_looked_at_replayed_and_purged(api: Api) -> None:
    job_id = api.finished(api.submit(payload={"fail_permanently": True}))["job_id"]
    assert dead_letters(api, job_id) == ["asked_to_fail"]
    only = {"job_ids": [job_id]}
    rehearsed = api.post("/dead-letters/replay", {**only, "dry_run": True}).json()
    assert (rehearsed["matched"], rehearsed["done"], rehearsed["dry_run"]) == (1, 0, True)
    # It fails again at once: a call that replayed its new letter as well would not end before its limit.
    replayed = api.post("/dead-letters/replay", only).json()
    assert (replayed["matched"], replayed["done"], replayed["job_ids"]) == (1, 1, [job_id])
    assert api.finished({"job_id": job_id})["state"] == "failed"
    assert dead_letters(api, job_id) == ["asked_to_fail"]
    assert api.post("/dead-letters/purge", only).json()["done"] == 1
    assert dead_letters(api, job_id) == []


def test_a_malformed_choice_of_dead_letters_is_refused(api: Api) -> None:
    problem_of(api.post("/dead-letters/replay", {"limit": 0}), 422, "invalid_request", "/limit")
    problem_of(api.post("/dead-letters/purge", {"job_id": "x"}), 422, "invalid_request", "/job_id")
    problem_of(api.get("/dead-letters?limit=0"), 422, "invalid_request", "limit")
