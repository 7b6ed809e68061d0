"""What the tests of limits and breakers ask of a running stack."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from local.supervisor.state import running_settings
from tests.integration.supervisor.running import RunningStack

TIMEOUT = 30
ENDED = frozenset({"completed", "failed", "cancelled"})


class Client:
    """The API, and the sandbox of the providers behind it."""

    def __init__(self, stack: RunningStack, data: Path) -> None:
        self._base = f"{stack.url}/api/v1"
        sandbox = running_settings(data)["DTQ_GITHUB_URL"].rsplit("/", 1)[0]
        self._control = f"{sandbox}/_control"

    def submit(self, job_type: str, payload: dict[str, Any], count: int, **fields: Any) -> list[str]:
        """Submit jobs that are all alike; their ids."""
        body = {"jobs": [{"job_type": job_type, "payload": payload, **fields}] * count}
        answer = requests.post(f"{self._base}/jobs/batch", json=body, timeout=TIMEOUT).json()
        assert answer["rejected"] == 0, answer
        return [each["job"]["job_id"] for each in answer["results"]]

    def jobs(self, job_type: str) -> list[dict[str, Any]]:
        """All jobs of a type."""
        jobs: list[dict[str, Any]] = []
        token = ""
        while True:
            query: dict[str, str | int] = {
                "job_type": job_type,
                "limit": 200,
                **({"page_token": token} if token else {}),
            }
            page = requests.get(f"{self._base}/jobs", params=query, timeout=TIMEOUT).json()
            jobs += page["jobs"]
            token = page["next_page_token"] or ""
            if not token:
                return jobs

    def finished(self, job_type: str, seconds: float) -> list[dict[str, Any]]:
        """All jobs of a type, once every one has ended."""
        deadline = time.monotonic() + seconds
        jobs = self.jobs(job_type)
        while not all(job["state"] in ENDED for job in jobs):
            assert time.monotonic() < deadline, f"not over within {seconds} s: {Counter(job['state'] for job in jobs)}"
            time.sleep(0.5)
            jobs = self.jobs(job_type)
        return jobs

    def breaker(self, job_type: str) -> dict[str, Any]:
        """A job type's breaker as the catalogue tells it."""
        types = requests.get(f"{self._base}/job-types", timeout=TIMEOUT).json()["job_types"]
        breaker: dict[str, Any] = next(each["breaker"] for each in types if each["name"] == job_type)
        return breaker

    def fail(self, provider: str, **settings: Any) -> None:
        """Have a provider fail as told, or, told nothing, answer again."""
        requests.put(f"{self._control}/{provider}", json=settings, timeout=TIMEOUT).raise_for_status()

    def calls(self, provider: str) -> list[float]:
        """When a provider was called, in seconds of this machine's monotonic clock."""
        times: list[float] = requests.get(f"{self._control}/{provider}", timeout=TIMEOUT).json()["request_times"]
        return times


def waits(jobs: Iterable[dict[str, Any]]) -> list[float]:
    """How long each job waited to start, in seconds."""
    return [_seconds(job["started_at"]) - _seconds(job["created_at"]) for job in jobs]


def most_at_once(jobs: list[dict[str, Any]]) -> int:
    """How many of the jobs ran at the same time at most."""
    steps = [(_seconds(job["started_at"]), 1) for job in jobs] + [(_seconds(job["finished_at"]), -1) for job in jobs]
    return max(itertools.accumulate(step for _, step in sorted(steps)))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
