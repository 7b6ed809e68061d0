"""GET /jobs, one job, its result, the catalogue, negotiate and the probes."""

from __future__ import annotations

import threading
import time
from typing import Any

import jsonschema
import pytest
import requests

from tests.contract.http_api.api import RFC_3339_UTC, Api, problem_of

pytestmark = pytest.mark.xdist_group("stack")

NEVER_GIVEN_OUT = "019ca8e9-f22b-7a3b-8199-c6b41c80317f"


def test_a_job_runs_and_its_result_is_answered(api: Api) -> None:
    job = api.submit(payload={"result": {"a": [1, None, "\u2603"]}, "progress_steps": 4}, tags=["t"])
    done = api.finished(job)
    assert (done["state"], done["progress"], done["attempt"]) == ("completed", 100, 1)
    assert RFC_3339_UTC.fullmatch(done["finished_at"])
    result = api.get(f"/jobs/{job['job_id']}/result").json()
    assert result["result"] == {"result": {"a": [1, None, "\u2603"]}, "attempt": 1}
    assert {name: result[name] for name in done} == done
    (attempt,) = result["attempts"]
    assert (attempt["attempt"], attempt["outcome"], attempt["error"]) == (1, "completed", None)
    assert [entry["progress"] for entry in result["timeline"]] == [20, 50, 80, 100]
    assert all(RFC_3339_UTC.fullmatch(entry["at"]) and entry["message"] for entry in result["timeline"])


def test_a_failed_job_tells_why(api: Api) -> None:
    done = api.finished(api.submit(payload={"fail_permanently": True}))
    assert done["state"] == "failed"
    assert done["error"] == {"code": "asked_to_fail", "message": "Failed for good, as asked.", "retryable": False}
    result = api.get(done["links"]["result"]).json()
    assert (result["result"], result["attempts"][0]["outcome"]) == (None, "failed")


def test_a_result_before_the_end_is_a_conflict(api: Api) -> None:
    job = api.submit(delay_seconds=3600)
    problem = problem_of(api.get(job["links"]["result"]), 409, "not_finished")
    assert "scheduled" in problem["detail"]


def test_the_payload_and_the_attempts_so_far_are_told_before_the_end(api: Api) -> None:
    job = api.submit(payload={"fail_times": 1, "result": "kept"}, max_retries=1, priority="high")
    waiting = api.submit(payload={"result": [1]}, delay_seconds=3600)
    details = api.get(f"/jobs/{waiting['job_id']}/details").json()
    assert details == waiting | {"payload": {"result": [1]}, "attempts": [], "timeline": []}
    done = api.finished(job)
    details = api.get(f"/jobs/{job['job_id']}/details").json()
    assert details["payload"] == {"fail_times": 1, "result": "kept"}
    assert [attempt["outcome"] for attempt in details["attempts"]] == ["failed", "completed"]
    result = api.get(done["links"]["result"]).json()
    assert result == details | {"result": result["result"]}


def test_a_job_that_waits_for_its_next_attempt_tells_why_the_last_one_failed(api: Api) -> None:
    job = api.submit(payload={"fail_times": 20}, max_retries=20)
    path = f"/jobs/{job['job_id']}"
    while not (details := api.get(f"{path}/details").json())["attempts"]:
        assert api.get(f"{path}?wait=1").status_code == 200
    assert details["finished_at"] is None
    assert details["attempts"][0]["error"]["code"] == "asked_to_fail"
    assert api.call("DELETE", path).status_code in {200, 202}


@pytest.mark.parametrize("path", ["/jobs/{}", "/jobs/{}/details", "/jobs/{}/result"])
@pytest.mark.parametrize(
    "job_id", ["nope", NEVER_GIVEN_OUT.upper(), f"{NEVER_GIVEN_OUT}x", "..%2F..", "%00", NEVER_GIVEN_OUT]
)
def test_an_id_that_is_malformed_or_unknown_is_not_found(api: Api, path: str, job_id: str) -> None:
    problem_of(api.get(path.format(job_id)), 404, "job_not_found")


def test_an_unfinished_job_says_when_to_ask_again_and_a_finished_one_does_not(api: Api) -> None:
    waiting = api.get(api.submit(delay_seconds=3600)["links"]["self"])
    assert waiting.headers["retry-after"] == "1"
    done = api.get(api.finished(api.submit())["links"]["self"])
    assert "retry-after" not in done.headers


def test_a_known_entity_tag_is_answered_with_304_and_no_body(api: Api) -> None:
    path = api.submit(delay_seconds=3600)["links"]["self"]
    first = api.get(path)
    etag = first.headers["etag"]
    again = api.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert again.headers["x-trace-id"]
    other = api.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.headers["etag"]) == (200, etag)


def test_a_wait_is_answered_by_the_change_not_by_the_clock(api: Api) -> None:
    job = api.submit(payload={"sleep_seconds": 0.5})
    begin = time.monotonic()
    done = api.finished(job)
    assert done["state"] == "completed"
    assert time.monotonic() - begin < 15


def test_a_wait_for_nothing_ends_with_its_time(api: Api) -> None:
    path = api.submit(delay_seconds=3600)["links"]["self"]
    etag = api.get(path).headers["etag"]
    begin = time.monotonic()
    answer = api.get(path, params={"wait": 0.3}, headers={"If-None-Match": etag})
    assert answer.status_code == 304
    assert 0.3 <= time.monotonic() - begin < 5


@pytest.mark.parametrize("wait", ["-1", "30.1", "long", "nan"])
def test_a_wait_out_of_bounds_is_refused(api: Api, wait: str) -> None:
    problem_of(api.get(f"/jobs/{NEVER_GIVEN_OUT}?wait={wait}"), 422, "invalid_request", "wait")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", "0"),
        ("limit", "201"),
        ("limit", "ten"),
        ("limit", "1.5"),
        ("state", "done"),
        ("priority", "urgent"),
        ("page_token", "x"),
        ("page_token", "\u00e9"),
    ],
)
def test_a_malformed_parameter_of_a_listing_is_refused(api: Api, name: str, value: str) -> None:
    problem_of(api.get("/jobs", params={name: value}), 422, "invalid_request", name)


def test_a_listing_of_an_unknown_job_type_is_refused(api: Api) -> None:
    problem_of(api.get("/jobs?job_type=quot"), 422, "unknown_job_type")


def pages(api: Api, **parameters: Any) -> list[list[dict[str, Any]]]:
    found = []
    token: str | None = None
    while True:
        answer = api.get("/jobs", params={**parameters, "page_token": token})
        assert answer.status_code == 200, answer.text
        found.append(answer.json()["jobs"])
        token = answer.json()["next_page_token"]
        if token is None:
            return found


def test_jobs_are_listed_newest_first_page_by_page_and_filtered(api: Api) -> None:
    # Nobody else submits these.
    submitted = [api.submit("github_user", payload={"username": "octocat"}, delay_seconds=3600 + n) for n in range(5)]
    low = api.submit("github_user", payload={"username": "octocat"}, priority="low", delay_seconds=3600)
    newest_first = [low, *reversed(submitted)]
    found = pages(api, job_type="github_user", limit=4)
    assert [len(page) for page in found] == [4, 2]
    assert [job["job_id"] for page in found for job in page] == [job["job_id"] for job in newest_first]
    assert found[0][0] == api.get(low["links"]["self"]).json()
    assert pages(api, job_type="github_user", priority="low") == [[found[0][0]]]
    assert pages(api, job_type="github_user", state="completed") == [[]]
    scheduled = pages(api, job_type="github_user", state="scheduled", limit=200)
    assert [job["job_id"] for job in scheduled[0]] == [job["job_id"] for job in newest_first]


def test_the_catalogue_tells_what_can_be_submitted(api: Api) -> None:
    types = {each["name"]: each for each in api.get("/job-types").json()["job_types"]}
    assert list(types) == ["exchange_rate", "github_user", "quote", "test_task", "weather"]
    for each in types.values():
        assert each["description"]
        assert set(each["defaults"]) == {"priority", "max_retries", "timeout_seconds"}
        assert each["limits"] == {"rate_per_second": None, "max_concurrent": None}
        assert each["paused"] is None
        assert each["breaker"] == {"state": "closed", "since": None, "until": None, "reason": ""}
        jsonschema.Draft202012Validator(each["payload_schema"]).validate(each["example"])


@pytest.mark.parametrize("job_type", ["exchange_rate", "quote", "weather"])
def test_the_example_of_the_catalogue_runs(api: Api, job_type: str) -> None:
    types = {each["name"]: each for each in api.get("/job-types").json()["job_types"]}
    done = api.finished(api.submit(job_type, payload=types[job_type]["example"]))
    assert done["state"] == "completed", done["error"]


def test_a_browser_learns_where_to_listen(api: Api) -> None:
    answer = api.call("POST", "/realtime/negotiate?negotiateVersion=1")
    assert answer.status_code == 200
    where = answer.json()
    assert set(where) == {"url", "accessToken"}
    assert where["url"].endswith("/client/?hub=jobs")
    # The service takes the token: it offers a connection for it.
    base, _, hub = where["url"].partition("/client/")
    headers = {"Authorization": f"Bearer {where['accessToken']}"}
    offered = requests.post(f"{base}/client/negotiate{hub}&negotiateVersion=1", headers=headers, timeout=10)
    assert offered.status_code == 200
    assert offered.json()["connectionToken"]


def test_the_probes_answer(api: Api) -> None:
    assert api.get("/api/healthz").json() == {"status": "ok"}
    ready = api.get("/api/readyz")
    assert ready.status_code == 200
    assert ready.json() == {"status": "ok", "checks": {"tables": "ok", "cosmos": "ok", "service_bus": "ok"}}


TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE_ID}-b7ad6b7169203331-01"


@pytest.mark.parametrize("path", ["/job-types", "/jobs/nope", "/jobs?limit=x", "/api/healthz"])
def test_every_answer_has_a_trace_id_errors_too(api: Api, path: str) -> None:
    fresh = {api.get(path).headers["x-trace-id"] for _ in range(2)}
    assert len(fresh) == 2
    traced = api.get(path, headers={"traceparent": TRACEPARENT})
    assert (traced.headers["x-trace-id"], traced.headers["traceparent"]) == (TRACE_ID, TRACEPARENT)
    correlated = api.get(path, headers={"x-correlation-id": "order-17"})
    assert (correlated.headers["x-trace-id"], correlated.headers["x-correlation-id"]) == ("order-17", "order-17")
    both = api.get(path, headers={"traceparent": TRACEPARENT, "x-correlation-id": "order-17"})
    assert (both.headers["x-trace-id"], both.headers["x-correlation-id"]) == (TRACE_ID, "order-17")


@pytest.mark.parametrize(
    "traceparent",
    [
        "nonsense",
        f"00-{'0' * 32}-b7ad6b7169203331-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-b7ad6b7169203331-01",
    ],
)
def test_a_malformed_trace_is_neither_taken_nor_echoed(api: Api, traceparent: str) -> None:
    answer = api.get("/job-types", headers={"traceparent": traceparent, "x-correlation-id": "a b;c"})
    assert answer.status_code == 200
    assert "traceparent" not in answer.headers
    assert "x-correlation-id" not in answer.headers
    assert answer.headers["x-trace-id"] not in {"0" * 32, TRACE_ID, "a b;c"}


def test_a_jobs_trace_is_that_of_its_request(api: Api) -> None:
    answer = api.post("/jobs", {"job_type": "test_task"}, headers={"traceparent": TRACEPARENT})
    assert answer.json()["trace_id"] == TRACE_ID
    assert api.finished(answer.json())["trace_id"] == TRACE_ID


def test_readers_at_once_that_wait_all_hear_of_the_end(api: Api) -> None:
    job = api.submit(payload={"sleep_seconds": 0.5})
    states: list[str] = []
    readers = [threading.Thread(target=lambda: states.append(api.finished(job)["state"])) for _ in range(5)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(30)
    assert states == ["completed"] * 5
