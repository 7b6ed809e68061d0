"""A provider that is down: three worker processes leave it alone but for single probes, and no job fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.limits.client import Client
from tests.integration.limits.conftest import stack
from tests.integration.supervisor.waiting import wait_until

USER = {"username": "octocat"}
#: As in shared/jobs/breaker.py: the window, and how long it is open at first.
WINDOW, FIRST_OPEN = 10.0, 5.0
#: All processes know of an open breaker within a second, and what runs by then still calls.
KNOWN_AFTER = 2.0


def outage(client: Client, seconds: float, load: float) -> tuple[list[dict[str, Any]], list[float]]:
    """Have the provider down for a while under load; the jobs once all have ended, and the calls while it was open."""
    done = threading.Event()

    def submit() -> None:
        while not done.is_set():
            client.submit("github_user", USER, 2)
            done.wait(2 / load)

    submitting = threading.Thread(target=submit)
    submitting.start()
    try:
        wait_until(lambda: len(client.calls("github")) >= 5, "the first calls", 20)
        down = time.monotonic()
        client.fail("github", down=True)
        wait_until(lambda: client.breaker("github_user")["state"] == "open", "an open breaker", WINDOW)
        opened = time.monotonic()
        assert "calls failed: provider_unreachable" in client.breaker("github_user")["reason"]
        done.wait(max(0.0, down + seconds - time.monotonic()))
        client.fail("github")
        wait_until(lambda: client.breaker("github_user")["state"] == "closed", "a closed breaker", 90)
        closed = time.monotonic()
    finally:
        done.set()
        submitting.join()
        client.fail("github")
    jobs = client.finished("github_user", 60)
    # The probe that closes it is the last; right after it, and before anybody can ask, others follow.
    calls = client.calls("github")
    return jobs, [call for call in calls if opened + KNOWN_AFTER <= call < closed - 2 * KNOWN_AFTER]


@pytest.mark.xdist_group("limits")
def test_while_the_provider_is_down_nobody_calls_it_and_all_jobs_complete_after(client: Client) -> None:
    jobs, calls = outage(client, seconds=3, load=8)
    assert {job["state"] for job in jobs} == {"completed"}
    assert len(calls) <= 1
    assert client.breaker("github_user")["until"] is None


@pytest.mark.xdist_group("limits")
def test_a_retry_after_holds_every_process_back(client: Client) -> None:
    rates = {"base": "USD", "symbols": ["EUR"]}
    client.fail("frankfurter", fail_next=1, status=429, retry_after=4)
    client.submit("exchange_rate", rates, 1)
    wait_until(lambda: client.breaker("exchange_rate")["state"] == "open", "an open breaker", 10)
    time.sleep(KNOWN_AFTER / 2)
    client.submit("exchange_rate", rates, 20)
    jobs = client.finished("exchange_rate", 60)
    assert {job["state"] for job in jobs} == {"completed"}
    refused, *others = client.calls("frankfurter")
    assert min(others) - refused >= 4
    assert len(others) == 21


@pytest.fixture
def unlimited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    yield from stack(tmp_path_factory.mktemp("breaker"))


@pytest.mark.long
@pytest.mark.xdist_group("limits")
@pytest.mark.timeout(300)
def test_an_outage_of_twenty_seconds_sees_one_probe_a_half_open_period_and_fails_no_job(unlimited: Client) -> None:
    jobs, calls = outage(unlimited, seconds=20, load=8)
    print(f"{len(jobs)} jobs; calls while the breaker was open: {[round(call - calls[0], 2) for call in calls]}")
    assert {job["state"] for job in jobs} == {"completed"}
    assert len(calls) >= 2, "it was tried while it was down"
    assert all(later - earlier >= FIRST_OPEN for earlier, later in pairwise(calls))
