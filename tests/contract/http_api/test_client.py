"""The client library and the `dtq` command against the running stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dtq import Client, DtqApiError, DtqUnreachableError
from dtq.cli import main

pytestmark = pytest.mark.xdist_group("stack")

NOBODY = "01a20170-a655-736a-94ad-3657f4a4b87f"


@pytest.fixture
def client(stack_url: str) -> Iterator[Client]:
    with Client(f"{stack_url}/") as connected:
        yield connected


class Shell:
    """Runs the command; `answer` is what it printed, `complaint` what it said of an error."""

    def __init__(self, url: str, captured: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._captured = captured
        patch.setenv("DTQ_URL", url)
        self.answer: Any = None
        self.complaint = ""

    def __call__(self, *words: str) -> int:
        status = main(words)
        out, self.complaint = self._captured.readouterr()
        self.answer = json.loads(out) if out else None
        return status


@pytest.fixture
def dtq(stack_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    return Shell(stack_url, capsys, monkeypatch)


def test_a_job_from_its_submission_to_its_result(client: Client) -> None:
    job = client.submit("test_task", {"result": {"n": 1}}, priority="high", tags=["a"], delay_seconds=None)
    assert (job["priority"], job["tags"]) == ("high", ["a"])
    assert client.wait(job["job_id"], 60)["state"] == "completed"
    assert client.result(job["job_id"])["result"]["result"] == {"n": 1}
    assert client.details(job["job_id"])["payload"] == {"result": {"n": 1}}
    newest = client.list(limit=200, job_type="test_task", state="completed")
    assert job["job_id"] in [each["job_id"] for each in newest["jobs"]]


def test_one_key_is_one_job(client: Client) -> None:
    first, second = (client.submit("test_task", {}, idempotency_key="client-key") for _ in range(2))
    assert first["job_id"] == second["job_id"]


def test_a_job_is_cancelled_and_started_again(client: Client) -> None:
    job_id = client.submit("test_task", {}, delay_seconds=3600)["job_id"]
    assert client.cancel(job_id)["state"] == "cancelled"
    assert client.retry(job_id)["job_id"] == job_id
    assert client.wait(job_id, 60)["state"] == "completed"


def test_a_wait_ends_in_time(client: Client) -> None:
    job_id = client.submit("test_task", {}, delay_seconds=3600)["job_id"]
    with pytest.raises(TimeoutError, match="scheduled"):
        client.wait(job_id, 0.2)
    assert client.cancel(job_id)["state"] == "cancelled"


def test_a_refusal_says_why(client: Client) -> None:
    with pytest.raises(DtqApiError) as caught:
        client.submit("wether", {})
    assert (caught.value.status, caught.value.code) == (422, "unknown_job_type")
    assert "weather" in str(caught.value)
    with pytest.raises(DtqApiError, match="job_not_found"):
        client.get(NOBODY)


def test_nobody_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    with Client("http://127.0.0.1:9") as client, pytest.raises(DtqUnreachableError, match=r"127\.0\.0\.1:9"):
        client.get(NOBODY)


def test_the_command_submits_waits_and_shows(dtq: Shell) -> None:
    assert dtq("submit", "test_task", "--payload", '{"result": "é"}', "--tags", "x y", "z", "--wait", "60") == 0
    assert (dtq.answer["state"], dtq.answer["result"]["result"]) == ("completed", "é")
    job_id = dtq.answer["job_id"]
    for command in ("get", "wait", "details", "result"):
        assert dtq(command, job_id) == 0
        assert dtq.answer["state"] == "completed"
    assert dtq("list", "--job-type", "test_task", "--limit", "200") == 0
    assert job_id in [each["job_id"] for each in dtq.answer["jobs"]]


def test_a_job_that_fails_fails_the_command_that_waits_for_it(dtq: Shell) -> None:
    assert dtq("submit", "test_task", "--payload", '{"fail_permanently": true}', "--wait", "60") == 1
    assert dtq.answer["error"]["code"] == "asked_to_fail"
    assert dtq("retry", dtq.answer["job_id"]) == 0


def test_the_command_says_what_was_refused(dtq: Shell) -> None:
    assert dtq("submit", "test_task", "--priority", "urgent") == 1
    assert dtq.complaint.startswith("dtq: invalid_request")
    assert dtq.answer is None
    assert dtq("cancel", NOBODY) == 1
    assert "job_not_found" in dtq.complaint


@pytest.mark.parametrize("payload", ["{", "[1]"])
def test_a_wrong_command_line_is_told_from_a_refusal(dtq: Shell, payload: str) -> None:
    with pytest.raises(SystemExit) as caught:
        dtq("submit", "test_task", "--payload", payload)
    assert caught.value.code == 2
