"""The HTTP API as any program calls it, for what happens outside the page."""

from __future__ import annotations

from typing import Any

import requests


class Client:
    """Blocking calls to the API under `url`."""

    def __init__(self, url: str) -> None:
        self._base = f"{url}/api/v1"

    def submit(self, job_type: str, payload: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Submit a job; the answer's body, which is the job."""
        body = {"job_type": job_type, "payload": payload, **options}
        return self._read(requests.post(f"{self._base}/jobs", json=body, timeout=10))

    def job_types(self) -> set[str]:
        """The names of the job types."""
        answer = self._read(requests.get(f"{self._base}/job-types", timeout=10))
        return {each["name"] for each in answer["job_types"]}

    def _read(self, response: requests.Response) -> dict[str, Any]:
        response.raise_for_status()
        answer: dict[str, Any] = response.json()
        return answer
