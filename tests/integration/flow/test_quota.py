"""The quota of open jobs on the running stack: over it a job is refused, and accepted again once there is room."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.integration.supervisor.running import RunningStack
from tests.integration.supervisor.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(180)]

QUOTA = 3
LATER = {"job_type": "test_task", "payload": {}, "delay_seconds": 3600}


def test_a_job_over_the_quota_is_refused_until_another_has_ended(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data", env={"DTQ_TENANT_MAX_OPEN": str(QUOTA)})
    try:
        with requests.Session() as session:
            jobs = f"{stack.url}/api/v1/jobs"

            def submit() -> requests.Response:
                return session.post(jobs, json=LATER, timeout=30)

            batch = session.post(f"{jobs}/batch", json={"jobs": [LATER] * (QUOTA + 1)}, timeout=30).json()
            assert [row["status"] for row in batch["results"]] == [202] * QUOTA + [429]
            refused = submit()
            assert (refused.status_code, refused.json()["code"]) == (429, "quota_exceeded")
            assert 1 <= int(refused.headers["retry-after"]) <= 10
            assert len(session.get(jobs, timeout=30).json()["jobs"]) == QUOTA, "a refused job has left something behind"

            ended = batch["results"][0]["job"]["links"]["self"]
            assert session.delete(stack.url + ended, timeout=30).json()["state"] == "cancelled"
            wait_until(lambda: submit().status_code == 202, "room for another job", 30)
            assert submit().status_code == 429
    finally:
        stack.kill()
