"""The client's side of a chaos run: calls, with what was asked and answered in the history."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

from shared.jobs.states import TERMINAL
from tests.chaos.checker import MISSING
from tests.chaos.history import History

_TIMEOUT = 40
_PAUSE = 0.3


class Client:
    """Calls the API; one that fails for want of a connection counts as not answered."""

    def __init__(self, url: str, history: History) -> None:
        self._base = f"{url}/api/v1"
        self._history = history
        self._local = threading.local()

    def submit(self, plan: dict[str, Any], *, key: str = "", **options: Any) -> str | None:
        """Post a chaos job; its id, or None where it was not accepted."""
        body = {"job_type": "chaos", "payload": plan, **options}
        answer = self.call("POST", "/jobs", json=body, headers={"Idempotency-Key": key} if key else {})
        if answer is None or answer.status_code not in {200, 202}:
            return None
        job_id = str(answer.json()["job_id"])
        self._history.record("accepted", job_id, key=key)
        return job_id

    def submit_batch(self, jobs: list[dict[str, Any]]) -> list[str | None]:
        """Post chaos jobs, each a body's members beside the job type; the ids of those accepted."""
        answer = self.call("POST", "/jobs/batch", json={"jobs": [{"job_type": "chaos", **job} for job in jobs]})
        if answer is None or answer.status_code != 200:
            return [None] * len(jobs)
        ids = [str(row["job"]["job_id"]) if "job" in row else None for row in answer.json()["results"]]
        for job_id in ids:
            if job_id is not None:
                self._history.record("accepted", job_id)
        return ids

    def observe(self, job_id: str, wait: int = 0) -> str:
        """The job's state, `missing` for a 404, or an empty text when there was no answer."""
        answer = self.call("GET", f"/jobs/{job_id}", params={"wait": wait} if wait else {})
        if answer is None or answer.status_code not in {200, 404}:
            return ""
        state = str(answer.json()["state"]) if answer.status_code == 200 else MISSING
        self._history.record("observed", job_id, state=state)
        return state

    def read_result(self, job_id: str) -> dict[str, Any] | None:
        """The answer to GET result, kept as what must not change; None where there is none (yet)."""
        answer = self.call("GET", f"/jobs/{job_id}/result")
        if answer is None or answer.status_code not in {200, 404, 410}:
            return None
        if answer.status_code != 200:
            self._history.record("result", job_id, value=MISSING)
            return None
        view: dict[str, Any] = answer.json()
        content = {name: view[name] for name in ("state", "result", "error")}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
        value = f"{digest} {json.dumps(view['result'])}"
        self._history.record("result", job_id, state=str(view["state"]), value=value)
        return view

    def cancel(self, job_id: str) -> int:
        """DELETE; the status of the answer, 0 where there was none."""
        answer = self.call("DELETE", f"/jobs/{job_id}")
        if answer is None:
            return 0
        if answer.status_code == 200:
            self._history.record("cancel", job_id, state=str(answer.json()["state"]))
        return answer.status_code

    def retry(self, job_id: str) -> int:
        """POST retry; the status of the answer. It may have been accepted even where it was not answered."""
        answer = self.call("POST", f"/jobs/{job_id}/retry")
        status = 0 if answer is None else answer.status_code
        if status not in {404, 409}:
            self._history.record("retried", job_id)
        return status

    def await_ends(self, job_ids: Iterable[str], seconds: float) -> set[str]:
        """Wait until all have ended, at most so long; those that have not. Reads each result once it is there."""
        deadline = time.monotonic() + seconds
        with ThreadPoolExecutor(8) as pool:
            ended = list(pool.map(lambda job_id: (job_id, self._await_end(job_id, deadline)), list(job_ids)))
        return {job_id for job_id, done in ended if not done}

    def call(self, method: str, path: str, **options: Any) -> requests.Response | None:
        """Any call; None where there was no answer."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        try:
            answer: requests.Response = self._local.session.request(
                method, self._base + path, timeout=_TIMEOUT, **options
            )
        except requests.RequestException:
            return None
        return answer

    def _await_end(self, job_id: str, deadline: float) -> bool:
        while True:
            view = self.read_result(job_id)
            if view is not None:
                self._history.record("observed", job_id, state=str(view["state"]))
                return True
            left = deadline - time.monotonic()
            state = self.observe(job_id, wait=max(0, min(10, int(left))))
            if left <= 0:
                return state in TERMINAL
            if state not in TERMINAL:
                time.sleep(_PAUSE)  # no answer, or a 404 that a lost row explains: neither says when to ask again
