"""Counters against the truth, which the client keeps: over several workers that are stopped in good order meanwhile."""

from __future__ import annotations

import functools
import itertools
import os
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests.contract.http_api.api import Api
from tests.exposition_rules import problems_of
from tests.integration.supervisor.running import RunningStack
from tests.integration.supervisor.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(240)]

PRIORITIES = ("critical", "high", "medium", "low")
WORKERS = 3
#: Of each priority, twice.
PLANS: tuple[dict[str, Any], ...] = (
    *({"payload": {"sleep_seconds": 0.2}} for _ in range(6)),
    {"payload": {"sleep_seconds": 1, "progress_steps": 4}},
    {"payload": {"fail_permanently": True}},
    {"payload": {"fail_times": 1}},
    {"payload": {"fail_times": 1}, "max_retries": 0},
    {"payload": {}, "delay_seconds": 3600},  # cancelled in line
    {"payload": {"sleep_seconds": 60, "progress_steps": 600}},  # cancelled while it runs
)

Truth = Counter[tuple[str, str]]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    stack = RunningStack(tmp_path / "data", "--workers", str(WORKERS))
    try:
        yield stack
    finally:
        stack.kill()


def test_counters_are_exact_while_workers_come_and_go(stack: RunningStack) -> None:
    with requests.Session() as session:
        api = Api(stack.url, session)
        jobs: list[dict[str, Any]] = []
        for worker in ("worker-1", "worker-2"):
            jobs += submit_all(api)
            stop_in_good_order(stack, worker)
        truth = truth_of(api, jobs)
        assert {event for event, _ in truth} == {
            *("submitted", "processed", "completed", "failed", "cancelled", "retried", "dead")
        }
        # Submissions and cancellations are written within a second of the call.
        wait_until(lambda: counted(api) == truth, f"{truth}, not {counted(api)},")
        stop_in_good_order(stack, "worker-3")
        assert counted(api) == truth
        text = api.get("/api/metrics").text
        assert problems_of(text) == []
        runs, waits = histogram_counts(text, "task_duration_seconds"), histogram_counts(text, "task_queue_wait_seconds")
        assert runs == {"test_task": sum(count for (event, _), count in truth.items() if event == "processed")}
        assert waits == {priority: truth["processed", priority] for priority in PRIORITIES}
        totals = api.get("/stats").json()["totals"]
        assert totals == {event: sum(truth[event, priority] for priority in PRIORITIES) for event in totals}


def submit_all(api: Api) -> list[dict[str, Any]]:
    """Every plan in every priority; those to be cancelled are, in line or while they run."""
    requested = [
        {"job_type": "test_task", "priority": priority, **plan}
        for priority, plan in itertools.product(PRIORITIES, PLANS)
    ]
    rows = api.post("/jobs/batch", {"jobs": requested}).json()["results"]
    jobs = [row["job"] for row in rows]
    for job, request in zip(jobs, requested, strict=True):
        runs_long = request["payload"].get("progress_steps") == 600
        if runs_long:
            wait_until(functools.partial(is_running, api, job), "the long run", 60)
        if runs_long or "delay_seconds" in request:
            assert api.call("DELETE", f"/jobs/{job['job_id']}").status_code in {200, 202}
    return jobs


def is_running(api: Api, job: dict[str, Any]) -> bool:
    return bool(api.get(job["links"]["self"]).json()["state"] == "running")


def stop_in_good_order(stack: RunningStack, worker: str) -> None:
    """As a scale-in does; the supervisor starts another in its place."""
    pid = stack.processes[worker]
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: stack.processes.get(worker, pid) != pid, f"the successor of {worker}", 60)


def truth_of(api: Api, jobs: list[dict[str, Any]]) -> Truth:
    """What happened, by the jobs' own histories, once all have ended."""
    truth: Truth = Counter()
    for job in jobs:
        ended = api.finished(job)
        attempts = api.get(f"/jobs/{job['job_id']}/result").json()["attempts"]
        failures = sum(attempt["outcome"] == "failed" for attempt in attempts)
        events = ["submitted", ended["state"], *["processed"] * len(attempts)]
        events += ["dead", *["retried"] * (failures - 1)] if ended["state"] == "failed" else ["retried"] * failures
        truth.update((event, job["priority"]) for event in events)
    return truth


def counted(api: Api) -> Truth:
    """What the metrics say."""
    found: Truth = Counter()
    for family in text_string_to_metric_families(api.get("/api/metrics").text):
        for sample in family.samples:
            if sample.name.startswith("tasks_") and sample.value:
                found[sample.name.removeprefix("tasks_").removesuffix("_total"), sample.labels["priority"]] += int(
                    sample.value
                )
    return found


def histogram_counts(text: str, name: str) -> dict[str, int]:
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples if sample.name == f"{name}_count")
    return {next(iter(sample.labels.values())): int(sample.value) for sample in samples}
