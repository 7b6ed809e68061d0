"""The HTTP API as a client sees it."""

from __future__ import annotations

import json
import re
from typing import Any

import requests

#: What a request waits for its answer, in seconds; longer than any `wait`.
TIMEOUT = 40
RFC_3339_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


class Api:
    """Calls to one running app."""

    def __init__(self, url: str, session: requests.Session) -> None:
        self.url = url
        self._session = session

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """`path` is below /api/v1, or below the app when it begins with /api/."""
        address = path if path.startswith("/api/") else f"/api/v1{path}"
        return self._session.request(method, self.url + address, timeout=TIMEOUT, **options)

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> requests.Response:
        return self.call("POST", path, json=body, **options)

    def submit(self, job_type: str = "test_task", **fields: Any) -> dict[str, Any]:
        """Submit a job and return it as it was answered."""
        answer = self.post("/jobs", {"job_type": job_type, **fields})
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def finished(self, job: dict[str, Any]) -> dict[str, Any]:
        """The job once it has ended."""
        for _ in range(50):
            answer = self.get(f"/jobs/{job['job_id']}", params={"wait": 20})
            assert answer.status_code == 200, answer.text
            job = answer.json()
            if job["state"] in {"completed", "failed", "cancelled"}:
                return job
        raise AssertionError(f"the job never ended: {job}")


def problem_of(answer: requests.Response, status: int, code: str, pointer: str | None = None) -> dict[str, Any]:
    """The problem document of an error answer, all of whose members are checked."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].split(";")[0] == "application/problem+json"
    problem: dict[str, Any] = json.loads(answer.content)
    assert problem["type"] == f"urn:dtq:error:{code}"
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"]
    assert problem["detail"]
    assert problem["trace_id"] == answer.headers["x-trace-id"]
    if pointer is not None:
        assert [error["pointer"] for error in problem["errors"]] == [pointer]
        assert all(error["detail"] for error in problem["errors"])
    return problem
