"""The wait before the next attempt."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.retry import MAX_RETRY_AFTER, RetryPolicy
from tests.fakes import seeded

policies = st.builds(
    RetryPolicy, base_seconds=st.floats(0, 1000), multiplier=st.floats(1, 10), cap_seconds=st.floats(0, 10_000)
)


@given(policies, st.integers(1, 100_000), st.integers())
def test_a_wait_is_never_longer_than_its_ceiling_nor_the_cap(policy: RetryPolicy, retry: int, seed: int) -> None:
    wait = policy.wait(retry, seeded(seed)).total_seconds()
    assert 0 <= wait <= policy.ceiling(retry) + 1e-6
    assert policy.ceiling(retry) <= policy.cap_seconds


@given(policies, st.integers(1, 100))
def test_the_ceiling_never_falls_from_one_retry_to_the_next(policy: RetryPolicy, retry: int) -> None:
    assert policy.ceiling(retry) <= policy.ceiling(retry + 1)


def test_the_ceiling_grows_exponentially_up_to_the_cap() -> None:
    policy = RetryPolicy(base_seconds=2, multiplier=2, cap_seconds=60)
    assert [policy.ceiling(retry) for retry in range(1, 8)] == [2, 4, 8, 16, 32, 60, 60]


def test_full_jitter_spreads_a_herd_over_the_whole_wait() -> None:
    rng = seeded(7)
    policy = RetryPolicy(base_seconds=100, cap_seconds=100)
    waits = [policy.wait(1, rng).total_seconds() for _ in range(2000)]
    tenths = [sum(low <= wait < low + 10 for wait in waits) for low in range(0, 100, 10)]
    assert all(150 < count < 250 for count in tenths), tenths


@given(st.floats(0, 3600), st.integers())
def test_a_providers_retry_after_is_the_least_that_is_waited(after: float, seed: int) -> None:
    assert RetryPolicy().wait(1, seeded(seed), after) >= timedelta(seconds=after)


@pytest.mark.parametrize("after", [3601.0, 1e20, math.inf, math.nan])
def test_a_providers_absurd_retry_after_waits_an_hour(after: float) -> None:
    assert RetryPolicy().wait(1, seeded(1), after) == MAX_RETRY_AFTER


def test_a_retry_after_in_the_past_changes_nothing() -> None:
    assert RetryPolicy().wait(1, seeded(1), -5) == RetryPolicy().wait(1, seeded(1))
