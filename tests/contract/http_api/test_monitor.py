"""GET /queues, /workers, /stats, /audit and /api/metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import jsonschema
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.http_api.api import RFC_3339_UTC, Api, problem_of
from tests.exposition_rules import problems_of

pytestmark = pytest.mark.xdist_group("stack")

#: Counts and heartbeats are written in the background, and answers kept for some seconds.
SOON = 30
PATHS = {"/queues": "QueuesView", "/workers": "WorkersView", "/stats": "StatsView", "/audit": "AuditView"}


def eventually(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not check():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.2)


def metrics(api: Api) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = api.get("/api/metrics").text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("path", PATHS)
def test_an_answer_is_as_the_contract_says(api: Api, path: str) -> None:
    answer = api.get(path)
    assert answer.status_code == 200, answer.text
    document = api.get("/api/openapi.json").json()
    schema = {"$ref": f"#/components/schemas/{PATHS[path]}", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(answer.json())
    if path != "/audit":
        assert RFC_3339_UTC.fullmatch(answer.json()["as_of"])


@pytest.mark.parametrize("path", [*PATHS, "/api/metrics"])
def test_an_unknown_parameter_is_refused(api: Api, path: str) -> None:
    problem_of(api.get(f"{path}?x=1"), 422, "invalid_request", "x")


@pytest.mark.parametrize("limit", ["0", "201", "many"])
def test_an_audit_limit_out_of_bounds_is_refused(api: Api, limit: str) -> None:
    problem_of(api.get(f"/audit?limit={limit}"), 422, "invalid_request", "limit")


def test_queues_count_what_waits(api: Api) -> None:
    before = {queue["priority"]: queue["scheduled"] for queue in api.get("/queues").json()["queues"]}
    assert list(before) == ["critical", "high", "medium", "low"]
    api.submit(priority="critical", delay_seconds=3600)

    def counted() -> bool:
        queues = {queue["priority"]: queue for queue in api.get("/queues").json()["queues"]}
        return bool(queues["critical"]["scheduled"] > before["critical"])

    eventually(counted)


def test_a_worker_tells_of_itself_and_of_what_it_runs(api: Api) -> None:
    job = api.submit(payload={"sleep_seconds": 15}, priority="high")

    def told() -> list[dict[str, Any]]:
        workers = api.get("/workers").json()["workers"]
        running = [(worker, each) for worker in workers for each in worker["running"]]
        return [{**each, **worker} for worker, each in running if each["job_id"] == job["job_id"]]

    eventually(lambda: bool(told()))
    (worker,) = told()
    assert (worker["job_type"], worker["priority"]) == ("test_task", "high")
    assert "run_high" in worker["functions"]
    assert worker["version"] == api.get("/api/openapi.json").json()["info"]["version"]
    assert worker["slots"] > 0
    api.call("DELETE", f"/jobs/{job['job_id']}")


def test_what_happens_to_jobs_is_counted_in_statistics_and_metrics(api: Api) -> None:
    # Nobody else submits these.
    labels = frozenset({("job_type", "exchange_rate"), ("priority", "low")})
    payload = {"base": "EUR", "symbols": ["USD"]}

    def numbers() -> tuple[float, ...]:
        found = metrics(api)
        return tuple(
            found.get((f"tasks_{event}_total", labels), 0)
            for event in ("submitted", "processed", "completed", "cancelled")
        )

    before = numbers()
    jobs = [api.submit("exchange_rate", payload=payload, priority="low") for _ in range(3)]
    assert {api.finished(job)["state"] for job in jobs} == {"completed"}
    waiting = api.submit("exchange_rate", payload=payload, priority="low", delay_seconds=3600)
    api.call("DELETE", f"/jobs/{waiting['job_id']}")
    expected = tuple(old + new for old, new in zip(before, (4, 3, 3, 1), strict=True))
    eventually(lambda: numbers() == expected)
    stats = api.get("/stats").json()
    assert stats["by_job_type"]["exchange_rate"]["completed"] >= 3
    assert stats["by_priority"]["low"]["submitted"] >= 4
    assert sum(minute["completed"] for minute in stats["per_minute"]) >= 3
    assert len(stats["per_minute"]) == 60
    times = stats["run_seconds"]["exchange_rate"]
    assert times["count"] >= 3
    assert 0 < times["p50"] <= times["p90"] <= times["p99"]
    assert stats["queue_wait_seconds"]["low"]["count"] >= 3


def test_statistics_tell_open_jobs(api: Api) -> None:
    before = api.get("/stats").json()
    api.submit("quote", delay_seconds=3600)

    def counted() -> bool:
        stats = api.get("/stats").json()
        later = datetime.fromisoformat(stats["as_of"]) > datetime.fromisoformat(before["as_of"])
        return later and bool(
            stats["open"]["by_job_type"].get("quote", 0) > before["open"]["by_job_type"].get("quote", 0)
        )

    eventually(counted)
    is_open = api.get("/stats").json()["open"]
    assert is_open["complete"] is True
    assert is_open["total"] == sum(is_open["by_state"].values()) == sum(is_open["by_job_type"].values())
    assert set(is_open["by_state"]) == {"scheduled", "queued", "running", "retrying"}


def test_metrics_are_text_that_prometheus_takes(api: Api) -> None:
    api.finished(api.submit())
    answer = api.get("/api/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert problems_of(answer.text) == []
    names = {name for name, _ in metrics(api)}
    assert names >= {"tasks_submitted_total", "workers_active", "worker_heartbeats_total", "workers_cleaned_up_total"}
    assert {labels for name, labels in metrics(api) if name == "queue_depth"} == {
        frozenset({("priority", priority)}) for priority in ("critical", "high", "medium", "low")
    }
    assert metrics(api)["provider_breaker_open", frozenset({("job_type", "weather")})] in {0, 1}


def test_an_action_is_told_in_the_audit_trail(api: Api) -> None:
    answer = api.post("/dead-letters/purge", {"job_type": "nobody's"})
    assert answer.status_code == 200, answer.text
    entries = api.get("/audit?limit=200").json()["entries"]
    assert entries[0]["action"] == "dead_letters.purge"
    assert [entry["at"] for entry in entries] == sorted((entry["at"] for entry in entries), reverse=True)
    assert len(api.get("/audit?limit=1").json()["entries"]) == 1


def test_metrics_need_no_session(api: Api) -> None:
    with requests.Session() as session:
        assert Api(api.url, session).get("/api/metrics").status_code == 200
