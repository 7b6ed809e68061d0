"""The circuit breaker's laws: when it opens, how long, and what closes it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.breaker import (
    FIRST_OPEN,
    LONGEST_OPEN,
    MIN_CALLS,
    PROBE_LEASE,
    PROVIDER_FAULTS,
    WINDOW,
    BreakerState,
    Window,
    asks_to_wait,
    closed,
    is_fault,
    opened,
    probe_failed,
    probing,
    state,
    tells_nothing_good,
    with_prober,
    without_prober,
)
from shared.jobs.model import JobError
from tests.fakes import START


def error(code: str) -> JobError:
    return JobError(code, "No.", retryable=True)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@given(calls=st.lists(st.tuples(st.floats(0, 4), st.booleans()), max_size=60))
def test_it_trips_when_half_of_enough_calls_of_the_last_seconds_failed_and_only_then(
    calls: list[tuple[float, bool]],
) -> None:
    window, now, all_calls = Window(), START, []
    for wait, fault in calls:
        now += timedelta(seconds=wait)
        window.add(now, fault=fault)
        all_calls.append((now, fault))
        recent = [failed for called, failed in all_calls if called > now - WINDOW]
        assert window.trips(now) == (len(recent) >= MIN_CALLS and 2 * sum(recent) >= len(recent))


def test_a_window_that_is_cleared_knows_no_calls() -> None:
    window = Window()
    for _ in range(MIN_CALLS):
        window.add(START, fault=True)
    assert (window.trips(START), window.describe()) == (True, "5 of 5 calls failed")
    window.clear()
    assert not window.trips(START)


@pytest.mark.parametrize("code", sorted(PROVIDER_FAULTS))
def test_what_the_provider_did_is_a_fault(code: str) -> None:
    assert is_fault(error(code))
    assert tells_nothing_good(error(code))


@pytest.mark.parametrize("code", ["not_found", "provider_refused", "handler_error", "invalid_payload"])
def test_what_the_provider_answered_or_we_did_is_none(code: str) -> None:
    assert not is_fault(error(code))
    assert not tells_nothing_good(error(code))


def test_no_error_is_no_fault_and_a_timeout_is_one_for_a_probe_alone() -> None:
    assert not is_fault(None)
    assert not tells_nothing_good(None)
    assert not is_fault(error("timeout"))
    assert tells_nothing_good(error("timeout"))


def test_it_is_open_for_its_time_then_half_open_until_something_closes_it() -> None:
    breaker = opened(None, START, "5 of 5", None)
    assert state(None, START) is BreakerState.CLOSED
    assert state(breaker, START + FIRST_OPEN - timedelta(milliseconds=1)) is BreakerState.OPEN
    assert state(breaker, START + FIRST_OPEN) is BreakerState.HALF_OPEN
    assert state(breaker, START + timedelta(days=1)) is BreakerState.HALF_OPEN
    assert state(closed(START), START) is BreakerState.CLOSED


@given(after=st.floats(0, 1e9), open_for=st.none() | st.floats(0, 1e5))
def test_a_wait_that_the_provider_asks_for_is_respected_up_to_an_hour_and_never_shortens(
    after: float, open_for: float | None
) -> None:
    before = None if open_for is None else opened(None, START, "earlier", open_for)
    breaker = opened(before, START, "now", after)
    assert breaker.until is not None
    if asks_to_wait(after):
        assert breaker.until >= at(min(after, 3600))
    if before is None:
        assert breaker.until == at(min(after, 3600) if after >= 1 else FIRST_OPEN.total_seconds())
    else:
        assert before.until is not None
        assert breaker.until >= before.until
        assert breaker.since == before.since


def test_each_failed_probe_doubles_the_time_up_to_the_longest() -> None:
    breaker = opened(None, START, "5 of 5", None)
    waits = []
    for _ in range(6):
        assert breaker.until is not None
        now = breaker.until
        breaker = probe_failed(with_prober(breaker, "me", now), now, "again", None)
        assert breaker.until is not None
        assert not probing(breaker, now)
        waits.append((breaker.until - now).total_seconds())
    assert waits == [10, 20, 40, 60, 60, 60]
    assert waits[-1] == LONGEST_OPEN.total_seconds()


def test_a_failed_probe_waits_longer_if_the_provider_asks_for_it() -> None:
    breaker = probe_failed(opened(None, START, "5 of 5", None), START, "again", 120.0)
    assert breaker.until == at(120)
    assert probe_failed(opened(None, START, "5 of 5", None), START, "again", 2.0).until == at(10)


def test_a_probe_that_nobody_ends_runs_out_and_one_that_is_given_up_ends_at_once() -> None:
    breaker = with_prober(opened(None, START, "5 of 5", None), "me", at(5))
    assert probing(breaker, at(5))
    assert probing(breaker, at(5) + PROBE_LEASE - timedelta(milliseconds=1))
    assert not probing(breaker, at(5) + PROBE_LEASE)
    assert not probing(without_prober(breaker), at(5))
