"""The schedule of tokens, the lines and the leases: what holds whoever takes them, in whatever order."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.limits import (
    AHEAD,
    GRACE,
    LEASE_SECONDS,
    Lease,
    Limit,
    LimitRecord,
    Line,
    hold,
    learn,
    leased,
    let_in,
    line_up,
    tidy,
)
from shared.jobs.model import Priority

NOW = 1_800_000_000.0
#: Times in seconds are sums of fractions: what is equal on paper may differ in the last digits.
TINY = 1e-3

rates = st.floats(0.2, 50)
lines = st.builds(Line, st.sampled_from(Priority), st.booleans())
waits = st.floats(0, 3)


def fresh(priority: Priority = Priority.LOW) -> Line:
    return Line(priority)


@given(rate=rates, asks=st.lists(st.tuples(waits, lines), min_size=1, max_size=80))
def test_in_no_window_are_more_tokens_used_than_the_rate_and_one_second_more(
    rate: float, asks: list[tuple[float, Line]]
) -> None:
    limit = Limit(rate_per_second=rate)
    record, now, used = LimitRecord(), NOW, []
    for wait, line in asks:
        now += wait
        record = tidy(record, limit, now)
        admitted = let_in(record, line, "me", now)
        if admitted is None:
            record, place = line_up(record, line, now)
            assert place > now
        else:
            record, token = admitted
            assert now - GRACE <= token <= now + AHEAD
            used.append(max(now, token))
    for begin in used:
        for end in used:
            if end >= begin:
                window = [at for at in used if begin <= at <= end]
                assert len(window) <= rate * (end - begin + GRACE) + 1 + TINY


@given(rate=rates, gaps=st.lists(st.floats(0, 0.5), min_size=20, max_size=60))
def test_tokens_that_somebody_wants_are_not_lost(rate: float, gaps: list[float]) -> None:
    """Who comes back to the second when told to uses the whole rate."""
    limit = Limit(rate_per_second=rate)
    record, now = LimitRecord(), NOW
    waiting: list[tuple[float, bool]] = []
    used = []
    for gap in gaps:
        now += gap
        waiting.append((now, False))
    while waiting:
        waiting.sort()
        now, returning = waiting.pop(0)
        line = Line(Priority.LOW, returning)
        record = tidy(record, limit, now)
        admitted = let_in(record, line, "me", now)
        if admitted is None:
            record, place = line_up(record, line, now)
            waiting.append((place, True))
        else:
            record, token = admitted
            used.append(max(token, now))
    assert used[-1] <= NOW + sum(gaps) + len(gaps) / rate + AHEAD + 1 / rate


@given(
    limit=st.builds(Limit, rate_per_second=rates, max_concurrent=st.none() | st.integers(1, 5)),
    asks=st.lists(st.tuples(st.floats(0, 0.2), lines), min_size=2, max_size=60),
)
def test_places_in_a_line_are_in_the_order_of_arrival_and_behind_no_less_urgent_one(
    limit: Limit, asks: list[tuple[float, Line]]
) -> None:
    record, now = LimitRecord(), NOW
    given_places: dict[Line, list[float]] = {}
    for wait, line in asks:
        now += wait
        record = tidy(record, limit, now)
        admitted = let_in(record, line, "me", now)
        if admitted is not None:
            record, _ = admitted
            continue
        alone = tidy(
            LimitRecord(
                limit=limit,
                next=record.next,
                last=record.last,
                tails={name: tail for name, tail in record.tails.items() if name in _up_to(line)},
                holders=record.holders,
            ),
            limit,
            now,
        )
        assert line_up(alone, line, now)[1] == line_up(record, line, now)[1], "a less urgent line holds it up"
        record, place = line_up(record, line, now)
        given_places.setdefault(line, []).append(place)
    for places in given_places.values():
        assert all(earlier < later for earlier, later in pairwise(places))


def _up_to(line: Line) -> set[str]:
    return {
        each.name
        for each in (Line(priority, returning) for priority in Priority for returning in (True, False))
        if each.rank <= line.rank
    }


def test_who_is_new_lines_up_behind_those_who_wait_and_who_comes_back_does_not() -> None:
    limit = Limit(rate_per_second=2)
    record = LimitRecord()
    places = []
    for _ in range(10):
        record = tidy(record, limit, NOW)
        admitted = let_in(record, fresh(), "me", NOW)
        if admitted is None:
            record, place = line_up(record, fresh(), NOW)
            places.append(place)
        else:
            record = admitted[0]
    assert [round(place - NOW, 6) for place in places] == [2.0, 2.5, 3.0, 3.5, 4.0], "five tokens, then the line"
    record = tidy(record, limit, places[0])
    assert let_in(record, fresh(), "me", places[0]) is None
    assert let_in(record, fresh(Priority.HIGH), "me", places[0]) is not None
    assert let_in(record, Line(Priority.LOW, returning=True), "me", places[0]) is not None


def test_who_comes_back_yields_to_a_more_urgent_line_and_stands_before_the_new_ones() -> None:
    limit = Limit(rate_per_second=1)
    record = LimitRecord(limit=limit, next=NOW, last=NOW, tails={"high": NOW + 5, "low": NOW + 9})
    back = Line(Priority.LOW, returning=True)
    assert let_in(record, back, "me", NOW) is None
    record, place = line_up(record, back, NOW)
    assert place == NOW + 6
    assert line_up(record, back, NOW)[1] == NOW + 7
    assert line_up(record, fresh(), NOW)[1] == NOW + 10


def test_who_comes_back_a_second_time_does_not_wait_for_those_who_do_so_after_it() -> None:
    limit = Limit(rate_per_second=1)
    back = Line(Priority.LOW, returning=True)
    record = LimitRecord(limit=limit, next=NOW + 3, last=NOW + 3)
    record, place = line_up(record, back, NOW)
    record, _ = line_up(record, back, NOW)
    assert let_in(tidy(record, limit, place), back, "me", place) is not None


def test_a_line_that_nobody_comes_from_any_more_is_forgotten() -> None:
    limit = Limit(rate_per_second=1)
    record = LimitRecord(limit=limit, next=NOW, last=NOW, tails={"low": NOW + 3600})
    assert let_in(tidy(record, limit, NOW + 2), fresh(), "me", NOW + 2) is None
    assert let_in(tidy(record, limit, NOW + 4), fresh(), "me", NOW + 4) is not None


def test_a_line_whose_jobs_wait_for_others_to_end_is_kept() -> None:
    limit = Limit(max_concurrent=1)
    record = LimitRecord(limit=limit, last=NOW, tails={"low": NOW + 60}, holders={"it": hold_one(NOW)})
    assert tidy(record, limit, NOW + 20).tails == {"low": NOW + 60}


def hold_one(now: float) -> Lease:
    return hold(LimitRecord(), "it", 1, now).holders["it"]


def test_another_limit_ends_the_lines_of_the_old_one() -> None:
    slow, quick = Limit(rate_per_second=0.01), Limit(rate_per_second=10)
    record = LimitRecord(limit=slow, next=NOW + 100, last=NOW, tails={"low": NOW + 5000})
    record = tidy(record, quick, NOW)
    assert (record.tails, record.next) == ({}, NOW + 0.1)
    assert let_in(record, fresh(), "me", NOW) is not None


@given(
    limit=st.integers(1, 6),
    steps=st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["start", "start", "end", "renew"]), st.floats(0, 8)),
        max_size=80,
    ),
)
def test_leases_never_exceed_the_limit_and_those_of_the_dead_run_out(
    limit: int, steps: list[tuple[str, str, float]]
) -> None:
    wanted = Limit(max_concurrent=limit)
    record, now = LimitRecord(), NOW
    running = dict.fromkeys("abc", 0)
    renewed = dict.fromkeys("abc", NOW)
    for holder, step, wait in steps:
        now += wait
        record = tidy(record, wanted, now)
        for each, at in renewed.items():  # an instance that does not renew is dead, and so are its jobs
            if now - at >= LEASE_SECONDS:
                assert leased(record, each, now) == 0
                running[each] = 0
        if step == "start":
            admitted = let_in(record, Line(Priority.CRITICAL, returning=True), holder, now)
            if admitted is None:
                assert sum(running.values()) >= limit, "a free lease is given to whoever asks"
                continue
            record = admitted[0]
            running[holder] += 1
        else:
            running[holder] = max(0, running[holder] - (step == "end"))
            record = hold(record, holder, running[holder], now)
        renewed[holder] = now
        assert sum(running.values()) <= limit
        assert {each: leased(record, each, now) for each in "abc"} == running


def test_what_runs_counts_even_if_others_took_its_place_meanwhile() -> None:
    wanted = Limit(max_concurrent=2)
    record = hold(hold(LimitRecord(limit=wanted), "b", 2, NOW), "a", 2, NOW)
    assert let_in(tidy(record, wanted, NOW), fresh(), "c", NOW) is None
    record = hold(record, "b", 0, NOW)
    assert let_in(tidy(record, wanted, NOW), fresh(), "c", NOW) is None
    record = hold(record, "a", 1, NOW)
    assert let_in(tidy(record, wanted, NOW), fresh(), "c", NOW) is not None


def test_a_concurrency_limits_line_is_paced_by_how_long_jobs_run() -> None:
    wanted = Limit(max_concurrent=2)
    record = tidy(learn(LimitRecord(), 8.0), wanted, NOW)
    first, second = line_up(record, fresh(), NOW)[1], line_up(line_up(record, fresh(), NOW)[0], fresh(), NOW)[1]
    assert first - NOW == pytest.approx(3.2, abs=TINY), "a little more often than a lease comes free, every 4 s"
    assert second - first == pytest.approx(3.2, abs=TINY)
    assert 4 < learn(record, 4.0).run_seconds < 8


@pytest.mark.parametrize(
    "wrong", [{"rate_per_second": 0}, {"rate_per_second": 10_001}, {"max_concurrent": 0}, {"max_concurrent": 10_001}]
)
def test_a_limit_out_of_bounds_is_refused_by_name(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be from"):
        Limit(**wrong)
