"""The HTTP API as any program calls it, for what happens outside the page."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import Request, urlopen


class Client:
    """Blocking calls to the API under `url`."""

    def __init__(self, url: str) -> None:
        self._base = f"{url}/api/v1"

    def submit(self, job_type: str, payload: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Submit a job; the answer's body, which is the job."""
        body = json.dumps({"job_type": job_type, "payload": payload, **options}).encode()
        return self._call(Request(f"{self._base}/jobs", body, {"content-type": "application/json"}, method="POST"))  # noqa: S310 - our own http address

    def job_types(self) -> list[dict[str, Any]]:
        answer: list[dict[str, Any]] = self._call(Request(f"{self._base}/job-types"))["job_types"]  # noqa: S310 - our own http address
        return answer

    def _call(self, request: Request) -> dict[str, Any]:
        with urlopen(request, timeout=10) as response:  # noqa: S310 - our own http address
            answer: dict[str, Any] = json.load(response)
        return answer
