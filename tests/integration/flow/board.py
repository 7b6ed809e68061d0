"""What the tests of the gate and of pauses ask of a running stack."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import requests

from tests.integration.supervisor.waiting import wait_until

TIMEOUT = 30
ENDED = frozenset({"completed", "failed", "cancelled"})
PAGE = "200"


class Board:
    """The HTTP API, for many jobs at once."""

    def __init__(self, url: str) -> None:
        self._base = f"{url}/api/v1"

    def call(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """An answer that is well."""
        answer = requests.request(method, self._base + path, json=body, timeout=TIMEOUT)
        assert answer.ok, answer.text
        return dict(answer.json())

    def submit(self, priority: str, sleep_seconds: float, count: int = 1) -> list[str]:
        """Submit jobs that are all alike; their ids."""
        job = {"job_type": "test_task", "priority": priority, "payload": {"sleep_seconds": sleep_seconds}}
        answer = self.call("POST", "/jobs/batch", {"jobs": [job] * count})
        assert answer["rejected"] == 0, answer
        return [row["job"]["job_id"] for row in answer["results"]]

    def jobs(self, priority: str) -> dict[str, dict[str, Any]]:
        """All jobs of a queue, by their ids."""
        jobs: list[dict[str, Any]] = []
        token = ""
        while True:
            page = self.call(
                "GET", f"/jobs?priority={priority}&limit={PAGE}" + (f"&page_token={token}" if token else "")
            )
            jobs += page["jobs"]
            token = page["next_page_token"]
            if not token:
                return {job["job_id"]: job for job in jobs}

    def ended(self, priority: str, ids: Iterable[str], seconds: float) -> list[dict[str, Any]]:
        """Those jobs once all of them have completed."""
        wanted = list(ids)
        found: list[dict[str, Any]] = []

        def all_ended() -> bool:
            jobs = self.jobs(priority)
            found[:] = [jobs[job_id] for job_id in wanted if job_id in jobs]
            return len(found) == len(wanted) and all(job["state"] in ENDED for job in found)

        wait_until(all_ended, f"the end of {len(wanted)} {priority} jobs", seconds)
        assert {job["state"] for job in found} == {"completed"}
        return found

    def pause(self, queue: str, reason: str = "") -> dict[str, Any]:
        return self.call("POST", f"/queues/{queue}/pause", {"reason": reason})

    def resume(self, queue: str) -> dict[str, Any]:
        return self.call("POST", f"/queues/{queue}/resume")


def started(job: dict[str, Any]) -> datetime:
    """When a job began to run."""
    return datetime.fromisoformat(job["started_at"])


def waits(jobs: Iterable[dict[str, Any]]) -> list[float]:
    """How long each waited to start, in seconds."""
    return [(started(job) - datetime.fromisoformat(job["created_at"])).total_seconds() for job in jobs]


def runs(jobs: Iterable[dict[str, Any]]) -> list[float]:
    """How long each ran, in seconds."""
    return [(datetime.fromisoformat(job["finished_at"]) - started(job)).total_seconds() for job in jobs]
