"""The HTTP API as Python calls (docs/reference/api.md). Jobs and results are the API's own JSON, as dictionaries."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import requests

Json = dict[str, Any]

ENDED = frozenset({"completed", "failed", "cancelled"})
#: Longest wait of one request for a change of a job, in seconds; the API takes no more.
LONGEST_WAIT = 30.0
#: How long a request may take beyond its wait, in seconds.
TIMEOUT = 30.0
#: How often a request is tried that was answered with 429 or 503, or not at all, and the longest pause before the next.
TRIES = 4
LONGEST_PAUSE = 30.0


class DtqError(Exception):
    """Something went wrong between this program and the queue."""


class DtqUnreachableError(DtqError):
    """The queue did not answer. Is the address right, and is it running?"""


class DtqApiError(DtqError):
    """The queue refused a request: its stable `code`, the HTTP `status`, the whole answer as `problem` (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.code = str(problem.get("code", f"http_{status}"))
        self.problem = dict(problem)
        super().__init__(f"{self.code}: {problem.get('detail') or problem.get('title') or 'no reason was given'}")


class Client:
    """A connection to one queue: `url` is its address without a path, `key` the function key where it asks for one.

    A request that got no answer, or 429 or 503, is tried again after the time that the answer names; submitting is safe
    to repeat, because every submission carries an Idempotency-Key. Every call raises DtqApiError and
    DtqUnreachableError. A client belongs to one thread.
    """

    def __init__(self, url: str, key: str = "") -> None:
        self._base = f"{url.rstrip('/')}/api/v1"
        self._session = requests.Session()
        if key:
            self._session.headers["x-functions-key"] = key

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def submit(
        self, job_type: str, payload: Mapping[str, Any] | None = None, *, idempotency_key: str = "", **options: Any
    ) -> Json:
        """Submit a job and return it. `options` are the API's: priority, run_at, delay_seconds, max_retries,
        timeout_seconds, tags; None leaves one out."""
        body = {"job_type": job_type, "payload": dict(payload or {})}
        body |= {name: value for name, value in options.items() if value is not None}
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        return self._call("POST", "/jobs", json=body, headers=headers)

    def get(self, job_id: str) -> Json:
        """The job as it is now."""
        return self._call("GET", f"/jobs/{job_id}")

    def wait(self, job_id: str, timeout: float = 300) -> Json:
        """The job once it has ended. Raises TimeoutError when it has not after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            wait = max(0.0, min(LONGEST_WAIT, left))
            job = self._call("GET", f"/jobs/{job_id}", params={"wait": f"{wait:.1f}"}, wait=wait)
            if job["state"] in ENDED:
                return job
            if left <= 0:
                raise TimeoutError(f"job {job_id} is still {job['state']} after {timeout:g} s")

    def details(self, job_id: str) -> Json:
        """The job with its payload, the attempts that have ended and its timeline, whatever its state."""
        return self._call("GET", f"/jobs/{job_id}/details")

    def result(self, job_id: str) -> Json:
        """How an ended job ended: its result or error, attempts and timeline."""
        return self._call("GET", f"/jobs/{job_id}/result")

    def list(self, *, limit: int = 50, page_token: str | None = None, **wanted: str | None) -> Json:
        """Jobs, newest first, as {jobs, next_page_token}. `wanted` may name state, job_type and priority."""
        parameters = {"limit": limit, "page_token": page_token, **wanted}
        return self._call("GET", "/jobs", params={name: value for name, value in parameters.items() if value})

    def cancel(self, job_id: str) -> Json:
        """Cancel a job: at once when it waits, at its next progress report when it runs."""
        return self._call("DELETE", f"/jobs/{job_id}")

    def retry(self, job_id: str) -> Json:
        """Start a failed or cancelled job again, under the same id."""
        return self._call("POST", f"/jobs/{job_id}/retry")

    def _call(self, method: str, path: str, *, wait: float = 0, **request: Any) -> Json:
        tries = TRIES
        while True:
            tries -= 1
            try:
                answer = self._session.request(method, self._base + path, timeout=wait + TIMEOUT, **request)
            except requests.RequestException as exc:
                if not tries:
                    raise DtqUnreachableError(f"{self._base} does not answer: {type(exc).__name__}") from exc
                time.sleep(1)
                continue
            if answer.ok:
                return dict(answer.json())
            if answer.status_code not in {429, 503} or not tries:
                raise DtqApiError(answer.status_code, _problem(answer))
            time.sleep(_pause(answer))


def _pause(answer: requests.Response) -> float:
    text = answer.headers.get("Retry-After", "1")
    return min(LONGEST_PAUSE, float(text)) if text.isdecimal() else 1.0


def _problem(answer: requests.Response) -> Mapping[str, Any]:
    """The problem document; other answers come from whatever stands between."""
    try:
        problem = answer.json()
    except requests.JSONDecodeError:
        problem = None
    return problem if isinstance(problem, dict) else {"title": answer.reason}
