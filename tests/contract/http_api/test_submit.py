"""POST /jobs and POST /jobs/batch."""

from __future__ import annotations

import concurrent.futures
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.contract.http_api.api import RFC_3339_UTC, Api, problem_of

pytestmark = pytest.mark.xdist_group("stack")

JOB_FIELDS = [
    *("job_id", "trace_id", "tenant", "job_type", "priority", "state", "progress", "message", "attempt"),
    *("max_attempts", "created_at", "updated_at", "run_at", "started_at", "finished_at", "error", "tags", "links"),
]


def test_an_accepted_job_is_answered_with_its_address(api: Api) -> None:
    answer = api.post("/jobs", {"job_type": "test_task", "tags": ["a"], "priority": "high"})
    assert answer.status_code == 202
    assert answer.headers["content-type"] == "application/json"
    job = answer.json()
    assert list(job) == JOB_FIELDS
    assert (job["state"], job["priority"], job["tags"], job["progress"]) == ("queued", "high", ["a"], 0)
    assert (job["attempt"], job["max_attempts"], job["error"], job["finished_at"]) == (0, 4, None, None)
    assert RFC_3339_UTC.fullmatch(job["created_at"])
    assert answer.headers["location"] == job["links"]["self"] == f"/api/v1/jobs/{job['job_id']}"
    assert api.get(job["links"]["self"]).json()["job_id"] == job["job_id"]


def test_a_content_type_with_parameters_or_a_json_suffix_is_json(api: Api) -> None:
    for media_type in ("application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.dtq+json"):
        answer = api.call("POST", "/jobs", data=b'{"job_type":"test_task"}', headers={"Content-Type": media_type})
        assert answer.status_code == 202, media_type


def test_a_job_for_later_is_scheduled(api: Api) -> None:
    later = datetime.now(UTC) + timedelta(hours=2)
    job = api.submit(run_at=later.isoformat())
    assert (job["state"], datetime.fromisoformat(job["run_at"])) == ("scheduled", later)
    delayed = api.submit(delay_seconds=3600)
    assert delayed["state"] == "scheduled"
    begin = datetime.fromisoformat(delayed["created_at"])
    assert datetime.fromisoformat(delayed["run_at"]) - begin == timedelta(hours=1)


def test_a_time_that_is_over_means_now(api: Api) -> None:
    assert api.submit(run_at="0001-01-01T00:00:00+14:00")["state"] == "queued"


def test_a_payload_of_the_whole_limit_is_taken_and_comes_back(api: Api) -> None:
    text = "x" * (128 * 1024 - len('{"result":""}'))
    job = api.finished(api.submit(payload={"result": text}))
    assert api.get(job["links"]["result"]).json()["result"]["result"] == text


NOW = datetime.now(UTC)
REFUSED: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("unknown type", {"job_type": "test_tsk"}, 422, "unknown_job_type", "/job_type"),
    ("priority urgent", {"priority": "urgent"}, 422, "invalid_request", "/priority"),
    ("unknown field", {"prioritty": "low"}, 422, "invalid_request", "/prioritty"),
    ("payload not an object", {"payload": "x"}, 422, "invalid_request", "/payload"),
    ("payload field unknown", {"payload": {"sleep_secs": 1}}, 422, "invalid_request", "/payload/sleep_secs"),
    ("payload field wrong", {"payload": {"sleep_seconds": -1}}, 422, "invalid_request", "/payload/sleep_seconds"),
    ("run_at and delay", {"run_at": NOW.isoformat(), "delay_seconds": 1}, 422, "invalid_request", "/delay_seconds"),
    ("run_at without a zone", {"run_at": "2026-03-01T12:00:00"}, 422, "invalid_request", "/run_at"),
    ("run_at no time", {"run_at": "tomorrow"}, 422, "invalid_request", "/run_at"),
    ("run_at too far", {"run_at": "9999-12-31T23:59:59Z"}, 422, "invalid_request", "/run_at"),
    ("delay negative", {"delay_seconds": -1}, 422, "invalid_request", "/delay_seconds"),
    ("too many tags", {"tags": ["a"] * 21}, 422, "invalid_request", "/tags"),
    ("tag too long", {"tags": ["a", "b" * 65]}, 422, "invalid_request", "/tags/1"),
    ("too many retries", {"max_retries": 26}, 422, "invalid_request", "/max_retries"),
    ("timeout zero", {"timeout_seconds": 0}, 422, "invalid_request", "/timeout_seconds"),
    ("timeout too long", {"timeout_seconds": 1701}, 422, "invalid_request", "/timeout_seconds"),
    ("payload of 150 KB", {"payload": {"result": "x" * 150_000}}, 413, "payload_too_large", "/payload"),
]


@pytest.mark.parametrize(
    ("fields", "status", "code", "pointer"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_a_wrong_field_is_pointed_at_and_leaves_nothing_behind(
    api: Api, fields: dict[str, Any], status: int, code: str, pointer: str
) -> None:
    newest = api.get("/jobs", params={"limit": 1}).json()["jobs"]
    problem_of(api.post("/jobs", {"job_type": "test_task", **fields}), status, code, pointer)
    assert [job["job_id"] for job in api.get("/jobs", params={"limit": 1}).json()["jobs"]] == [
        job["job_id"] for job in newest
    ]


def test_a_missing_field_is_pointed_at(api: Api) -> None:
    problem_of(api.post("/jobs", {"payload": {}}), 422, "invalid_request", "/job_type")


def test_errors_suggest_what_was_meant(api: Api) -> None:
    unknown = problem_of(api.post("/jobs", {"job_type": "wether"}), 422, "unknown_job_type")
    assert "Did you mean 'weather'?" in unknown["detail"]
    assert unknown["known_job_types"] == ["exchange_rate", "github_user", "quote", "test_task", "weather"]
    field = problem_of(api.post("/jobs", {"job_type": "quote", "prioritty": "low"}), 422, "invalid_request")
    assert "Did you mean 'priority'?" in field["errors"][0]["detail"]
    value = problem_of(api.post("/jobs", {"job_type": "quote", "priority": "hihg"}), 422, "invalid_request")
    assert "Did you mean 'high'?" in value["errors"][0]["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"  ", b"{", b"not json", b'{"job_type": "quote",}', b"\xff\xfe", b"NaN", b"[" * 5000]
)
@pytest.mark.parametrize("path", ["/jobs", "/jobs/batch"])
def test_a_body_that_is_not_json_is_said_so(api: Api, path: str, body: bytes) -> None:
    answer = api.call("POST", path, data=body, headers={"Content-Type": "application/json"})
    problem_of(answer, 400, "invalid_json")


@pytest.mark.parametrize("body", ["null", "[]", '"text"', "1"])
def test_a_body_that_is_no_object_is_said_so(api: Api, body: str) -> None:
    answer = api.call("POST", "/jobs", data=body, headers={"Content-Type": "application/json"})
    problem_of(answer, 422, "invalid_request", "")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
@pytest.mark.parametrize("path", ["/jobs", "/jobs/batch"])
def test_a_body_that_is_not_declared_as_json_is_refused(api: Api, path: str, media_type: str | None) -> None:
    answer = api.call("POST", path, data=b'{"job_type":"quote"}', headers={"Content-Type": media_type})
    problem_of(answer, 415, "unsupported_media_type")


def test_a_body_of_300_kb_is_too_large(api: Api) -> None:
    problem_of(
        api.post("/jobs", {"job_type": "test_task", "payload": {"result": "x" * 300_000}}), 413, "payload_too_large"
    )


def test_an_unknown_query_parameter_is_refused_with_the_closest(api: Api) -> None:
    problem_of(api.post("/jobs?priority=low", {"job_type": "quote"}), 422, "invalid_request", "priority")
    problem = problem_of(api.get("/jobs?page_tokn=x"), 422, "invalid_request", "page_tokn")
    assert "Did you mean 'page_token'?" in problem["detail"]
    problem_of(api.get("/job-types?x=1"), 422, "invalid_request", "x")


def keyed(api: Api, key: str, **fields: Any) -> Any:
    return api.post("/jobs", {"job_type": "test_task", **fields}, headers={"Idempotency-Key": key})


def test_the_same_key_and_body_again_is_the_same_job(api: Api) -> None:
    key = str(uuid.uuid4())
    first, again = keyed(api, key, tags=["k"]), keyed(api, key, tags=["k"])
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["job_id"] == again.json()["job_id"]
    assert again.headers["location"] == first.headers["location"]
    other = problem_of(keyed(api, key, tags=["other"]), 409, "idempotency_conflict")
    assert first.json()["job_id"] in other["detail"]


def test_requests_with_one_key_at_once_make_one_job(api: Api) -> None:
    key = str(uuid.uuid4())
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = [each.result() for each in [pool.submit(keyed, api, key) for _ in range(8)]]
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert len({answer.json()["job_id"] for answer in answers}) == 1
    assert sum(answer.status_code == 202 for answer in answers) == 1


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\there"])
def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    problem_of(keyed(api, key), 422, "invalid_request", "Idempotency-Key")


def test_a_batch_answers_each_job_by_its_place(api: Api) -> None:
    jobs = [
        {"job_type": "test_task", "payload": {"result": 1}},
        {"job_type": "test_tsk"},
        {"job_type": "test_task", "priority": "low", "payload": {"result": 2}},
        "no job",
        {"job_type": "test_task", "payload": {"result": "x" * 140_000}},
    ]
    answer = api.post("/jobs/batch", {"jobs": jobs})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["rejected"]) == (2, 3)
    assert [row["index"] for row in body["results"]] == [0, 1, 2, 3, 4]
    assert [row["status"] for row in body["results"]] == [202, 422, 202, 422, 413]
    codes = [row["problem"]["code"] for row in body["results"] if "problem" in row]
    assert codes == ["unknown_job_type", "invalid_request", "payload_too_large"]
    for index, result in ((0, 1), (2, 2)):
        job = api.finished(body["results"][index]["job"])
        assert api.get(job["links"]["result"]).json()["result"]["result"] == result


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], "/jobs"),
        ({}, "/jobs"),
        ({"jobs": []}, "/jobs"),
        ({"jobs": [{"job_type": "quote"}] * 1001}, "/jobs"),
        ({"jobs": [{"job_type": "quote"}], "job": 1}, "/job"),
    ],
    ids=["array", "no jobs", "empty", "1001", "unknown field"],
)
def test_what_is_no_batch_is_refused(api: Api, body: Any, pointer: str) -> None:
    problem_of(api.post("/jobs/batch", body), 422, "invalid_request", pointer)


def test_a_batch_of_a_thousand_is_accepted(api: Api) -> None:
    answer = api.post("/jobs/batch", {"jobs": [{"job_type": "test_task", "delay_seconds": 86400}] * 1000})
    assert answer.json()["accepted"] == 1000
    assert len({row["job"]["job_id"] for row in answer.json()["results"]}) == 1000
