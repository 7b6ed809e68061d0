"""Pausing, resuming and purging."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.http_api.api import Api, problem_of

pytestmark = pytest.mark.xdist_group("stack")


@pytest.fixture
def low_is_held(api: Api) -> Iterator[None]:
    yield
    assert api.post("/queues/low/resume").status_code == 200


@pytest.mark.usefixtures("low_is_held")
def test_a_held_queue_takes_jobs_that_run_after_the_resume(api: Api) -> None:
    answer = api.post("/queues/low/pause", {"reason": "for a test"}, headers={"X-MS-CLIENT-PRINCIPAL-NAME": "ada@x.y"})
    assert answer.status_code == 200
    pause = answer.json()["paused"]
    assert (answer.json()["priority"], pause["by"], pause["reason"]) == ("low", "ada@x.y", "for a test")
    again = api.call("POST", "/queues/low/pause")  # without a body
    assert again.json() == answer.json()
    held, free = api.submit(priority="low"), api.submit(priority="high")
    assert api.finished(free)["state"] == "completed"
    assert api.get(held["links"]["self"]).json()["state"] == "queued"
    assert api.call("POST", "/queues/low/resume").json() == {"priority": "low", "paused": None}
    assert api.finished(held)["state"] == "completed"


@pytest.mark.usefixtures("low_is_held")
def test_a_purge_cancels_what_waits(api: Api) -> None:
    api.post("/queues/low/pause", {})
    api.post("/queues/low/purge", {})  # of what other tests left
    waiting = [api.submit(priority="low"), api.submit(priority="low", delay_seconds=3600)]
    other = api.submit(priority="medium", delay_seconds=3600)
    rehearsed = api.post("/queues/low/purge", {"dry_run": True}).json()
    assert rehearsed == {"matched": 2, "cancelled": 0, "more": False, "dry_run": True}
    assert api.post("/queues/low/purge", {"limit": 1}).json() == {
        "matched": 1,
        "cancelled": 1,
        "more": True,
        "dry_run": False,
    }
    assert api.post("/queues/low/purge", {}).json()["cancelled"] == 1
    assert [api.finished(job)["state"] for job in waiting] == ["cancelled", "cancelled"]
    assert api.get(other["links"]["self"]).json()["state"] == "scheduled"
    api.call("DELETE", f"/jobs/{other['job_id']}")


def test_a_job_type_is_held(api: Api) -> None:
    answer = api.post("/job-types/quote/pause", {})
    try:
        assert answer.status_code == 200
        assert (answer.json()["name"], answer.json()["paused"]["by"]) == ("quote", "function key")
    finally:
        resumed = api.post("/job-types/quote/resume")
    assert resumed.json() == {"name": "quote", "paused": None}


def test_what_there_is_not_is_not_found(api: Api) -> None:
    for action in ("pause", "resume"):
        problem_of(api.post(f"/queues/urgent/{action}", {}), 404, "queue_not_found")
        problem_of(api.post(f"/job-types/nope/{action}", {}), 404, "unknown_job_type")
    problem_of(api.post("/queues/dead/purge", {}), 404, "queue_not_found")


def test_malformed_bodies_are_refused(api: Api) -> None:
    problem_of(api.post("/queues/low/pause", {"why": "x"}), 422, "invalid_request", "/why")
    problem_of(api.post("/queues/low/pause", {"reason": "x" * 201}), 422, "invalid_request", "/reason")
    problem_of(api.post("/queues/low/purge", {"limit": 0}), 422, "invalid_request", "/limit")
    problem_of(
        api.call("POST", "/queues/low/purge", data="", headers={"content-type": "application/json"}),
        400,
        "invalid_json",
    )
    problem_of(api.call("POST", "/job-types/quote/pause", data="reason"), 415, "unsupported_media_type")
