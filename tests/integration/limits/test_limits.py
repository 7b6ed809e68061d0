"""Limits over three worker processes: as many start as may, nobody fails, and other types do not notice."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator

import pytest

from tests.integration.limits.client import Client, most_at_once, waits
from tests.integration.limits.conftest import QUOTES_A_SECOND, TASKS_AT_ONCE, stack

WEATHER = {"city": "Berlin", "country_code": "DE", "units": "metric"}


def window(calls: list[float], seconds: float) -> int:
    """The most calls in any window of that length."""
    return max(sum(begin <= call < begin + seconds for call in calls) for begin in calls)


@pytest.mark.xdist_group("limits")
def test_a_rate_holds_over_three_processes_and_is_used(client: Client) -> None:
    client.submit("quote", {}, 9 * QUOTES_A_SECOND)
    client.submit("weather", WEATHER, 5)
    weather = client.finished("weather", 20)
    quotes = client.jobs("quote")
    assert {job["state"] for job in quotes} != {"completed"}, "the weather did not wait for the quotes"
    assert {job["state"] for job in weather} == {"completed"}
    waiting = [job for job in quotes if job["state"] == "queued"]
    assert "Waits for the limit of quote" in {job["message"] for job in waiting}

    quotes = client.finished("quote", 60)
    assert {(job["state"], job["attempt"]) for job in quotes} == {("completed", 1)}
    calls = client.calls("quotes")
    assert len(calls) == len(quotes)
    # A second's worth more and one; and what a busy machine holds up for a second and a half.
    assert window(calls, 1) <= 3.5 * QUOTES_A_SECOND + 1
    assert window(calls, 5) <= 7.5 * QUOTES_A_SECOND + 1
    assert calls[-1] - calls[0] < 2 * len(calls) / QUOTES_A_SECOND


@pytest.mark.xdist_group("limits")
def test_no_more_run_at_once_than_may_over_three_processes(client: Client) -> None:
    client.submit("test_task", {"sleep_seconds": 0.4}, 16)
    jobs = client.finished("test_task", 60)
    assert {(job["state"], job["attempt"]) for job in jobs} == {("completed", 1)}
    assert most_at_once(jobs) == TASKS_AT_ONCE


@pytest.fixture
def limited_users(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    limits = {"github_user": {"rate_per_second": 5}}
    yield from stack(tmp_path_factory.mktemp("rate"), DTQ_JOB_TYPE_LIMITS=json.dumps(limits))


@pytest.mark.long
@pytest.mark.xdist_group("limits")
@pytest.mark.timeout(300)
def test_five_a_second_for_half_a_minute_over_three_processes_and_the_weather_does_not_mind(
    limited_users: Client,
) -> None:
    client, seconds = limited_users, 30

    def weather(count: int) -> None:
        for _ in range(count):
            client.submit("weather", WEATHER, 1)
            time.sleep(0.25)

    weather(4 * seconds)
    before = waits(client.finished("weather", 30)[: -2 * 4])  # the first ones warm the workers up
    client.submit("github_user", {"username": "octocat"}, int(1.3 * 5 * seconds))
    time.sleep(2)  # until they have lined up
    begun = time.monotonic()
    others = threading.Thread(target=weather, args=(4 * seconds,))
    others.start()
    others.join()
    during = waits(client.finished("weather", 30)[: 4 * seconds])
    users = client.finished("github_user", 60)

    assert {(job["state"], job["attempt"]) for job in users} == {("completed", 1)}
    calls = client.calls("github")
    first = calls[0]
    started = sum(call < first + seconds for call in calls) / seconds
    p95_before, p95_during = (statistics.quantiles(each, n=20)[-1] for each in (before, during))
    print(
        f"{started:.2f} started a second over {seconds} s; weather waited (median, p95) "
        f"{statistics.median(before):.3f}, {p95_before:.3f} s before and "
        f"{statistics.median(during):.3f}, {p95_during:.3f} s meanwhile"
    )
    assert begun < calls[-1]
    assert 4.0 <= started <= 5.5
    # A fifth more, and what the noise of a small machine is.
    assert p95_during <= 1.2 * p95_before + 0.25
