"""One job's telemetry from the running stack: request, enqueue, worker and provider in one trace, on both Pythons."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from local.supervisor.state import running_settings
from tests.contract.worker.environment import NoPythonError, ensure
from tests.integration.supervisor.waiting import wait_until
from tests.services import ROOT
from tests.telemetry.ingestion import Envelope, Ingestion

pytestmark = [pytest.mark.xdist_group("telemetry"), pytest.mark.timeout(180)]

CLIENT_TRACE, CLIENT_SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FUNCTION_KEY = "canary-function-key"
CITY = "Reykjavik"


class Stack:
    """The stack under one Python, and what it told the ingestion endpoint."""

    def __init__(self, python: Path, directory: Path, ingestion: Ingestion) -> None:
        self.ingestion = ingestion
        self.directory = directory
        self._output = directory.with_suffix(".log")
        with self._output.open("w") as file:
            self.process = subprocess.Popen(
                [str(python), "-m", "local", "up", "--port", "0", "--data", str(directory)],
                cwd=ROOT,
                env={**os.environ, "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string},
                stdout=file,
                stderr=subprocess.STDOUT,
            )

    @property
    def url(self) -> str:
        """Where it serves; empty until it does."""
        ready = [line for line in self._output.read_text().splitlines() if line.startswith("ready ")]
        return ready[0].split()[1] if ready else ""

    def wait_ready(self) -> None:
        wait_until(lambda: bool(self.url) or self.process.poll() is not None, "the stack's ready line", 60)
        assert self.url, self._output.read_text()

    def run(self, job_type: str, payload: dict[str, Any], **options: Any) -> dict[str, Any]:
        """Submit a job, wait for its end and return it."""
        base = f"{self.url}/api/v1/jobs"
        body = {"job_type": job_type, "payload": payload, "max_retries": 0}
        answer = requests.post(base, json=body, params={"code": FUNCTION_KEY}, timeout=30, **options)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()

        def ended() -> bool:
            job.update(requests.get(f"{base}/{job['job_id']}", params={"wait": "5"}, timeout=30).json())
            return job["finished_at"] is not None

        wait_until(ended, "the job's end", 60)
        return job

    def told(self, job: dict[str, Any]) -> dict[str, list[Envelope]]:
        """The envelopes of the trace that the job belongs to by name, once the worker's span is among them."""
        run = f"run {job['job_type']}"

        def of_worker() -> list[Envelope]:
            return [
                each
                for each in self.ingestion.of("RequestData")
                if each["data"]["baseData"]["name"] == run
                and each["data"]["baseData"]["properties"]["job_id"] == job["job_id"]
            ]

        def of_trace() -> dict[str, list[Envelope]]:
            operation = of_worker()[0]["tags"]["ai.operation.id"]
            found: dict[str, list[Envelope]] = {}
            for each in self.ingestion.envelopes:
                if each["tags"].get("ai.operation.id") == operation:
                    data = each["data"]["baseData"]
                    found.setdefault(data.get("name", each["data"]["baseType"]), []).append(each)
            return found

        self.ingestion.wait_for(lambda: bool(of_worker()) and "jobs_submit" in of_trace(), f"whole trace of {run}")
        return of_trace()


@pytest.fixture(scope="module", params=["this", "3.13"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    python = Path(sys.executable)
    if request.param == "3.13":
        try:
            python = ensure()
        except NoPythonError as error:
            if os.environ.get("CI", "").lower() == "true":
                pytest.fail(f"Telemetry was not tried on Python 3.13: {error}")
            pytest.skip(f"Telemetry was not tried on Python 3.13: {error}")
    with Ingestion() as ingestion:
        stack = Stack(python, tmp_path_factory.mktemp("telemetry") / "data", ingestion)
        try:
            stack.wait_ready()
            yield stack
        finally:
            stack.process.send_signal(signal.SIGINT)
            stack.process.wait(60)


def only(envelopes: list[Envelope]) -> tuple[dict[str, Any], dict[str, str]]:
    (envelope,) = envelopes
    return envelope["data"]["baseData"], envelope["tags"]


def test_one_operation_holds_the_request_the_enqueue_the_worker_and_the_provider(stack: Stack) -> None:
    job = stack.run("weather", {"city": CITY})
    assert job["state"] == "completed", job
    told = stack.told(job)
    submit, submit_tags = only(told["jobs_submit"])
    enqueue, enqueue_tags = only(told["send jobs-medium"])
    run, run_tags = only(told["run weather"])
    providers = [each for name, found in told.items() if name.startswith("GET ") for each in found]
    assert submit_tags["ai.operation.id"] == job["trace_id"]
    assert "ai.operation.parentId" not in submit_tags, "nobody sent a traceparent: the trace begins here"
    assert enqueue_tags["ai.operation.parentId"] == submit["id"]
    assert run_tags["ai.operation.parentId"] == submit["id"]
    assert {each["tags"]["ai.operation.parentId"] for each in providers} == {run["id"]}
    assert len(providers) == 2, "the geocoder and the forecast"
    assert (submit["responseCode"], submit["success"], run["responseCode"]) == ("202", True, "completed")
    assert enqueue["type"] == "Azure Service Bus"
    expected = {"job_id": job["job_id"], "job_type": "weather", "priority": "medium", "attempt": "1"}
    assert run["properties"] == {**expected, "trace_id": job["trace_id"]}
    assert submit["properties"]["job_id"] == job["job_id"]
    assert submit_tags["ai.cloud.roleInstance"] != run_tags["ai.cloud.roleInstance"], "two processes, one trace"


def test_a_clients_traceparent_is_gone_on_with(stack: Stack) -> None:
    job = stack.run("quote", {}, headers={"traceparent": f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01"})
    told = stack.told(job)
    _, tags = only(told["jobs_submit"])
    assert tags["ai.operation.id"] == CLIENT_TRACE == job["trace_id"]
    assert tags["ai.operation.parentId"] == CLIENT_SPAN


def test_a_log_line_carries_job_attempt_and_trace_and_a_failed_attempt_is_a_failed_request(stack: Stack) -> None:
    job = stack.run("test_task", {"fail_permanently": True})
    told = stack.told(job)
    run, _ = only(told["run test_task"])
    assert (run["success"], run["responseCode"]) == (False, "failed")
    assert run["properties"]["error_code"] == job["error"]["code"]

    def lines() -> list[Envelope]:
        return [
            each for each in stack.ingestion.of("MessageData") if job["job_id"] in each["data"]["baseData"]["message"]
        ]

    stack.ingestion.wait_for(lambda: bool(lines()), "log line of the failed job")
    line, tags = lines()[0]["data"]["baseData"], lines()[0]["tags"]
    wanted = {"job_id": job["job_id"], "trace_id": job["trace_id"], "attempt": "1"}
    assert line["properties"].items() >= wanted.items()
    assert (tags["ai.operation.id"], tags["ai.operation.parentId"]) == (job["trace_id"], run["id"])


def test_jobs_run_while_the_endpoint_does_not_answer(stack: Stack) -> None:
    stack.ingestion.hold()
    try:
        before = stack.ingestion.requests
        jobs = [stack.run("quote", {})]
        stack.ingestion.wait_for(lambda: stack.ingestion.requests > before, "delivery that is not answered")
        jobs += [stack.run("quote", {}) for _ in range(3)]
        assert {job["state"] for job in jobs} == {"completed"}, jobs
    finally:
        stack.ingestion.release()


def test_no_key_no_payload_and_no_query_is_told(stack: Stack) -> None:
    job = stack.run("weather", {"city": CITY})
    stack.told(job)
    text = json.dumps(stack.ingestion.envelopes)
    assert job["job_id"] in text
    settings = running_settings(stack.directory)
    keys = [part.split("=", 1)[1] for value in settings.values() for part in value.split(";") if "Key=" in part]
    assert len(keys) >= 4
    for secret in (FUNCTION_KEY, CITY, *keys):
        assert secret not in text
    assert "?" not in "".join(str(each["data"]["baseData"].get("data")) for each in stack.ingestion.envelopes)
