"""Faults on demand: each kind, how long it lasts, and what the counters say."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from tests.contract.sandbox.client import Sandbox

CALLS = {
    "geocoding": "/geocoding/v1/search?name=Austin",
    "forecast": "/forecast/v1/forecast?latitude=30&longitude=-97&current=temperature_2m",
    "quotes": "/quotes/api/quotes/random",
    "frankfurter": "/frankfurter/v1/latest?base=USD",
    "github": "/github/users/octocat",
}
PROVIDERS = list(CALLS)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_fail_next_fails_that_many_and_no_more(sandbox: Sandbox, provider: str) -> None:
    sandbox.control(provider, fail_next=2)
    assert [sandbox.get(CALLS[provider]).status_code for _ in range(4)] == [503, 503, 200, 200]
    report = sandbox.report(provider)
    assert (report["requests"], report["failed"], report["failures_left"]) == (4, 2, 0)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_rate_limit_in_the_provider_s_own_words(sandbox: Sandbox, provider: str) -> None:
    sandbox.control(provider, fail_next=1, status=429, retry_after=7)
    answer = sandbox.get(CALLS[provider])
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    body = answer.json()
    text = body.get("reason") or body.get("error") or body["message"]
    assert "too many" in text.lower() or "limit exceeded" in text


def test_github_s_rate_limit_is_a_403_with_nothing_remaining(sandbox: Sandbox) -> None:
    sandbox.control("github", fail_next=1, status=403)
    answer = sandbox.get(CALLS["github"])
    assert answer.status_code == 403
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert answer.json()["message"].startswith("API rate limit exceeded for ")


def test_a_status_lasts_until_it_is_taken_back(sandbox: Sandbox) -> None:
    sandbox.control("quotes", status=500)
    assert [sandbox.get(CALLS["quotes"]).status_code for _ in range(3)] == [500] * 3
    sandbox.control("quotes")
    assert sandbox.get(CALLS["quotes"]).status_code == 200


def test_down_drops_the_connection_without_an_answer(sandbox: Sandbox) -> None:
    sandbox.control("forecast", down=True, fail_next=1)
    with pytest.raises(requests.ConnectionError):
        requests.get(sandbox.url + CALLS["forecast"], timeout=5)
    assert sandbox.get(CALLS["forecast"]).status_code == 200


@pytest.mark.parametrize("provider", PROVIDERS)
def test_malformed_is_200_and_no_json(sandbox: Sandbox, provider: str) -> None:
    sandbox.control(provider, malformed=True, fail_next=1)
    answer = sandbox.get(CALLS[provider])
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, "application/json")
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_delay_holds_every_answer_back_and_others_are_not_held(sandbox: Sandbox) -> None:
    sandbox.control("geocoding", delay_seconds=0.3)
    with ThreadPoolExecutor(4) as pool:
        started = time.monotonic()
        slow = [pool.submit(requests.get, sandbox.url + CALLS["geocoding"], timeout=5) for _ in range(4)]
        sandbox.get(CALLS["github"])
        assert not any(call.done() for call in slow)
        assert {call.result().status_code for call in slow} == {200}
    assert time.monotonic() - started >= 0.3


def test_a_client_that_gives_up_meets_a_timeout(sandbox: Sandbox) -> None:
    sandbox.control("geocoding", delay_seconds=30)
    with pytest.raises(requests.ReadTimeout):
        requests.get(sandbox.url + CALLS["geocoding"], timeout=0.2)


def test_request_times_let_a_test_count_the_rate(sandbox: Sandbox) -> None:
    for _ in range(5):
        sandbox.get(CALLS["github"])
    times = sandbox.report("github")["request_times"]
    assert isinstance(times, list)
    assert len(times) == 5
    assert times == sorted(times)


def test_providers_fail_alone_and_reset_heals_all(sandbox: Sandbox) -> None:
    sandbox.control("github", status=503)
    sandbox.control("quotes", down=True)
    assert sandbox.get(CALLS["frankfurter"]).status_code == 200
    assert requests.delete(f"{sandbox.url}/_control", timeout=5).status_code == 204
    assert [sandbox.get(CALLS[provider]).status_code for provider in ("github", "quotes")] == [200, 200]
    assert sandbox.report("github")["requests"] == 1


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"fail_nxt": 1}, "fail_nxt"),
        ({"fail_next": -1}, "fail_next"),
        ({"status": 200}, "status"),
        ({"delay_seconds": "long"}, "delay_seconds"),
        ({"down": True, "malformed": True}, "choose one"),
        ({"retry_after": 3}, "add status"),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_change_nothing(
    sandbox: Sandbox, settings: dict[str, object], says: str
) -> None:
    answer = sandbox.control("github", **settings)
    assert answer.status_code == 422
    assert says in answer.json()["error"]
    assert sandbox.get(CALLS["github"]).status_code == 200


def test_an_unknown_provider_is_named_with_the_known_ones(sandbox: Sandbox) -> None:
    answer = sandbox.control("weather", down=True)
    assert answer.status_code == 404
    assert "geocoding" in answer.text
