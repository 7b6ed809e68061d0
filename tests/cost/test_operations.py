"""The operations that the cost model reckons with are those that the running product makes."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from tests.cost.stack import TappedStack, tapped_stack
from tools.cost.operations import (
    DEAD_LETTER,
    JOB,
    READ,
    RETRY,
    TABLE_CALLS_A_BUSY_SECOND,
    TELEMETRY_CALL,
    TELEMETRY_JOB,
    Operations,
)

pytestmark = [pytest.mark.xdist_group("cost"), pytest.mark.timeout(180)]

#: So many that what the app does by the second, not by the job, is little beside them.
JOBS = 20
#: That little, a job: handshakes of links, messages that a receiver gives back because it stops waiting.
BESIDE = 0.5
PROCESSES = 2


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TappedStack]:
    with tapped_stack(tmp_path_factory.mktemp("cost")) as stack:
        stack.run(3, {})  # connections, links and containers are made
        yield stack


def per_job(counts: Counter[tuple[str, str, str]]) -> dict[str, float]:
    """The fields of Operations, a job."""

    def total(matches: Callable[[str, str, str], bool]) -> float:
        return sum(count for key, count in counts.items() if matches(*key)) / JOBS

    return {
        "sends": total(lambda service, sender, what: (service, sender, what) == ("servicebus", "app", "transfer")),
        "receives": total(
            lambda service, sender, what: (service, sender, what) == ("servicebus", "broker", "transfer")
        ),
        "settlements": total(
            lambda service, sender, what: (service, sender, what) == ("servicebus", "app", "disposition")
        ),
        "table_reads": total(
            lambda service, method, path: service == "tables" and method == "GET" and path.endswith("/jobs")
        ),
        "table_writes": total(
            lambda service, method, path: service == "tables" and method != "GET" and path.endswith("/jobs")
        ),
        "cosmos_writes": total(lambda service, method, _: service == "cosmos" and method != "GET"),
        "pushes": total(lambda service, *_: service == "signalr"),
    }


def assert_counted(counts: Counter[tuple[str, str, str]], *parts: Operations) -> None:
    counted = per_job(counts)
    for field, value in counted.items():
        expected = sum(getattr(part, field) for part in parts)
        if field == "pushes":
            assert 0 < value <= expected + BESIDE, (field, value, expected, counts)
        else:
            assert expected <= value <= expected + BESIDE, (field, value, expected, counts)


def test_a_job_that_completes(stack: TappedStack) -> None:
    begun = time.monotonic()
    counts = stack.counted(JOBS, {})
    seconds = time.monotonic() - begun
    assert_counted(counts, JOB)
    beside = sum(count for (_, _, path), count in counts.items() if path.endswith("/records"))
    assert 0 < beside / seconds / PROCESSES <= TABLE_CALLS_A_BUSY_SECOND


def test_a_job_that_is_tried_twice(stack: TappedStack) -> None:
    assert_counted(stack.counted(JOBS, {"fail_times": 1}), JOB, RETRY)


def test_a_job_that_fails_for_good(stack: TappedStack) -> None:
    assert_counted(stack.counted(JOBS, {"fail_permanently": True}), JOB, DEAD_LETTER)


def test_a_read(stack: TappedStack) -> None:
    base = f"{stack.url}/api/v1/jobs"
    job = requests.post(base, json={"job_type": "test_task", "payload": {}}, timeout=30).json()
    stack.wait_ended(job["job_id"])
    before = stack.wiretap.counts.copy()
    for _ in range(JOBS):
        assert requests.get(f"{base}/{job['job_id']}", timeout=30).status_code == 200
    counts = stack.wiretap.counts - before
    assert per_job(counts)["table_reads"] == READ.table_reads
    assert per_job(counts)["table_writes"] == READ.table_writes


def test_telemetry_of_a_job(stack: TappedStack) -> None:
    stack.run(JOBS, {})
    body: dict[str, Any] = {"job_type": "test_task", "payload": {}}
    job = requests.post(f"{stack.url}/api/v1/jobs", json=body, timeout=30).json()
    stack.wait_ended(job["job_id"])
    sizes: Counter[str] = Counter()
    for each in stack.ingestion.envelopes:
        if each["tags"].get("ai.operation.id") == job["trace_id"]:
            sizes[each["data"]["baseType"]] += len(json.dumps(each))
    assert sizes["RequestData"] > 0
    assert TELEMETRY_JOB * 0.8 < sizes.total() < TELEMETRY_JOB * 1.2
    assert TELEMETRY_CALL * 0.8 < sizes["RemoteDependencyData"] < TELEMETRY_CALL * 1.2, "a send is told as a call is"
