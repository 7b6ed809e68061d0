"""Counts: sums and what is left of them, histograms and percentiles, minutes."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.metrics import BOUNDS, EVENTS, MAX_JOB_TYPES, OTHER, Counts, last_minutes, minute_of, total

NOW = datetime(2026, 3, 1, 10, 20, 30, 123456, tzinfo=UTC)
JOB_TYPES = ("weather", "quote", "a|b")
PRIORITIES = ("critical", "low")

seconds = st.floats(0, 5000, allow_nan=False)
events = st.tuples(st.sampled_from(EVENTS), st.sampled_from(JOB_TYPES), st.sampled_from(PRIORITIES))


@st.composite
def counted(draw: st.DrawFn) -> Counts:
    counts = Counts()
    for event, job_type, priority in draw(st.lists(events, max_size=20)):
        counts.count(event, job_type, priority)
    for job_type, time in draw(st.lists(st.tuples(st.sampled_from(JOB_TYPES), seconds), max_size=5)):
        counts.ran(job_type, timedelta(seconds=time))
    for priority, time in draw(st.lists(st.tuples(st.sampled_from(PRIORITIES), seconds), max_size=5)):
        counts.waited(priority, timedelta(seconds=time))
    counts.count_worker("heartbeats", draw(st.integers(0, 5)))
    return counts


@given(st.lists(counted(), max_size=5))
def test_a_sum_does_not_depend_on_the_order(parts: list[Counts]) -> None:
    whole = total(parts)
    assert total(reversed(parts)) == whole
    assert whole.events() == total([total(parts[:2]), total(parts[2:])]).events()


@given(counted(), counted())
def test_what_is_taken_out_of_a_sum_leaves_the_rest_exactly(one: Counts, other: Counts) -> None:
    assert one.plus(other).minus(other) == one.plus(Counts())
    assert one.minus(one) == Counts()


@given(counted())
def test_counts_travel_as_json(counts: Counts) -> None:
    assert msgspec.json.decode(msgspec.json.encode(counts), type=Counts) == counts


def test_events_are_told_by_job_type_and_priority() -> None:
    counts = Counts()
    counts.count("submitted", "weather", "low")
    counts.count("submitted", "weather", "low")
    counts.count("failed", "a|b", "high")
    assert [(name, priority, {k: v for k, v in events.items() if v}) for name, priority, events in counts.events()] == [
        ("a|b", "high", {"failed": 1}),
        ("weather", "low", {"submitted": 2}),
    ]


def test_job_types_beyond_the_limit_share_a_name_and_stay_countable() -> None:
    counts = Counts()
    for number in range(MAX_JOB_TYPES + 5):
        counts.count("submitted", f"type{number:02}", "low")
        counts.count("submitted", f"type{number:02}", "low")
    numbers = {name: events["submitted"] for name, _, events in counts.events()}
    assert len(numbers) == MAX_JOB_TYPES + 1
    assert numbers[OTHER] == 10
    assert sum(numbers.values()) == 2 * (MAX_JOB_TYPES + 5)


@given(st.lists(seconds, min_size=1, max_size=50), st.floats(0.01, 1))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(times: list[float], share: float) -> None:
    counts = Counts()
    for time in times:
        counts.ran("weather", timedelta(seconds=time))
    histogram = counts.run_times()["weather"]
    assert histogram.count == len(times)
    assert histogram.seconds == pytest.approx(sum(times), abs=len(times) * 1e-6)
    truth = sorted(times)[max(0, math.ceil(share * len(times)) - 1)]
    low, high = (
        max((b for b in (0.0, *BOUNDS) if b < truth), default=0.0),
        min((*(b for b in BOUNDS if b >= truth), math.inf)),
    )
    estimate = histogram.percentile(share)
    assert estimate is not None
    # A time is rounded to microseconds before it is put into a bucket.
    assert low - 1e-6 <= estimate <= min(high, BOUNDS[-1]) + 1e-6 or low == BOUNDS[-1] == estimate


def test_nothing_has_no_percentile() -> None:
    counts = Counts()
    counts.waited("low", timedelta(seconds=3))
    (histogram,) = counts.minus(Counts()).wait_times().values()
    assert histogram.percentile(0.5) == pytest.approx(3.5)
    assert Counts().wait_times() == {}


@given(st.lists(seconds, max_size=30))
def test_a_cumulative_histogram_never_falls_and_ends_with_all(times: list[float]) -> None:
    counts = Counts()
    counts.waited("low", timedelta(seconds=1))
    for time in times:
        counts.waited("low", timedelta(seconds=time))
    numbers = counts.wait_times()["low"].cumulative()
    assert [bound for bound, _ in numbers] == [*BOUNDS, math.inf]
    assert [count for _, count in numbers] == sorted(count for _, count in numbers)
    assert numbers[-1][1] == len(times) + 1


def test_a_time_that_ran_backwards_counts_as_none() -> None:
    counts = Counts()
    counts.waited("low", timedelta(seconds=-5))
    (histogram,) = counts.wait_times().values()
    assert (histogram.seconds, histogram.counts[0], histogram.count) == (0, 1, 1)


def test_the_last_minutes_end_with_the_present_one() -> None:
    minutes = last_minutes(NOW, 3)
    assert [minute_of(minute) for minute in minutes] == ["202603011018", "202603011019", "202603011020"]
    assert all(minute.second == minute.microsecond == 0 for minute in minutes)
