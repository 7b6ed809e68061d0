"""Every process of the stack is killed with 200 jobs under way; started again on the same data, all complete."""

from __future__ import annotations

import os
import random
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.cosmos import CosmosClient

from local.supervisor.state import running_settings
from tests.integration.supervisor.running import RunningStack
from tests.integration.supervisor.waiting import wait_until

JOBS = 200
#: A lease (5 s here), the janitor's grace (30 s), its period (60 s), and the jobs' own time, on a busy machine.
PATIENCE = 240
REQUESTS: list[dict[str, Any]] = [
    {"job_type": "weather", "payload": {"city": "Austin"}},
    {"job_type": "quote", "payload": {}},
    {"job_type": "exchange_rate", "payload": {"base": "USD", "symbols": ["EUR", "JPY"]}},
    {"job_type": "github_user", "payload": {"username": "octocat"}},
    {"job_type": "test_task", "payload": {"sleep_seconds": 1, "progress_steps": 4}},
]
PRIORITIES = ("critical", "high", "medium", "low")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DTQ_LEASE_SECONDS", "5")
    return tmp_path / "data"


@pytest.mark.xdist_group("stack")
@pytest.mark.timeout(PATIENCE + 120)
def test_all_jobs_complete_after_kill_9_of_every_process(directory: Path) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    stack = RunningStack(directory)
    try:
        ids = _submit(stack.url, rng)
        wait_until(lambda: _count(stack.url, "completed") > 0, "the first completed jobs", 60)
        before = _count(stack.url, "completed")
        _kill_all(stack)
    finally:
        stack.kill()
    assert before < JOBS, "all had completed before anything was killed: the test staged nothing"

    stack = RunningStack(directory)
    try:
        with ThreadPoolExecutor(20) as pool:
            states = list(pool.map(lambda job_id: _end_of(stack.url, job_id), ids))
        assert states == ["completed"] * JOBS
        documents = _documents(directory)
        assert sorted(document["id"] for document in documents) == sorted(ids), "one result document a job"
        assert _count(stack.url, "running") == _count(stack.url, "queued") == _count(stack.url, "retrying") == 0
        assert stack.stop() == 0
    finally:
        stack.kill()


def _submit(url: str, rng: random.Random) -> list[str]:
    jobs = [{**rng.choice(REQUESTS), "priority": rng.choice(PRIORITIES)} for _ in range(JOBS)]

    def post(job: dict[str, Any]) -> str:
        answer = requests.post(f"{url}/api/v1/jobs", json=job, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(post, jobs))


def _kill_all(stack: RunningStack) -> None:
    """The supervisor first, so that it restarts nothing; its children may die with it before they are reached."""
    pids = list(stack.processes.values())
    stack.process.kill()
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def _count(url: str, state: str) -> int:
    answer = requests.get(f"{url}/api/v1/jobs", params={"state": state, "limit": "200"}, timeout=30)
    return len(answer.json()["jobs"])


def _end_of(url: str, job_id: str) -> str:
    """The job's last state. Until its message is delivered, a job whose row the table service forgot is not found."""
    job: dict[str, Any] = {}

    def ended() -> bool:
        answer = requests.get(f"{url}/api/v1/jobs/{job_id}", params={"wait": 10}, timeout=30)
        if answer.status_code in {404, 503}:
            return False
        job.update(answer.json())
        return job["state"] in {"completed", "failed", "cancelled"}

    wait_until(ended, f"the end of job {job_id}", PATIENCE)
    return str(job["state"])


def _documents(directory: Path) -> list[dict[str, Any]]:
    with CosmosClient.from_connection_string(running_settings(directory)["CosmosConnection"]) as client:
        container = client.get_database_client("dtq").get_container_client("results")
        query = "SELECT c.id, c.job.state FROM c"
        return list(container.query_items(query, enable_cross_partition_query=True))
