"""The HTTP API as any program calls it, for what happens outside the page."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import requests


class Client:
    """Blocking calls to the API under `url`."""

    def __init__(self, url: str) -> None:
        self._base = f"{url}/api/v1"

    def submit(self, job_type: str, payload: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Submit a job; the answer's body, which is the job."""
        return self._call("POST", "/jobs", {"job_type": job_type, "payload": payload, **options})

    def submit_batch(self, jobs: list[dict[str, Any]]) -> list[str]:
        """Submit many; the ids, oldest first. Every job must be accepted."""
        return sorted(row["job"]["job_id"] for row in self._call("POST", "/jobs/batch", {"jobs": jobs})["results"])

    def job(self, job_id: str) -> dict[str, Any]:
        return self._call("GET", f"/jobs/{job_id}")

    def wait_for_end(self, job_id: str) -> None:
        """Return once the job has ended."""
        deadline = time.monotonic() + 60
        while self._call("GET", f"/jobs/{job_id}?wait=10")["finished_at"] is None:
            assert time.monotonic() < deadline, f"job {job_id} does not end"

    def wait_for_attempt(self, job_id: str) -> None:
        """Return once the job's first attempt has ended."""
        deadline = time.monotonic() + 60
        while not self._call("GET", f"/jobs/{job_id}/details")["attempts"]:
            assert time.monotonic() < deadline, f"job {job_id} does not end an attempt"
            time.sleep(0.1)

    def job_types(self) -> set[str]:
        """The names of the job types."""
        return {each["name"] for each in self._call("GET", "/job-types")["job_types"]}

    def cancel(self, job_id: str) -> None:
        """Ask a job to give way; no harm where it has ended."""
        requests.delete(f"{self._base}/jobs/{job_id}", timeout=30)

    def resume(self, path: str) -> None:
        """End the pause of `/queues/low` or `/job-types/weather`; no harm where there is none."""
        self._call("POST", f"{path}/resume", {})

    def dead_job(self, **options: Any) -> str:
        """The id of a job that has failed for good and has its dead letter."""
        job_id: str = self.submit("test_task", {"fail_permanently": True}, **options)["job_id"]
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            letters = self._call("GET", "/dead-letters?limit=200")["dead_letters"]
            if any(letter["job_id"] == job_id for letter in letters):
                return job_id
            time.sleep(0.1)
        raise AssertionError(f"job {job_id} has no dead letter")

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        response = requests.request(method, self._base + path, json=body, timeout=30)
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer


async def off_thread(function: Any, *arguments: Any, **options: Any) -> Any:
    """Call `function` beside the browser's event loop, which must go on."""
    return await asyncio.to_thread(function, *arguments, **options)
