"""NCRONTAB and TimeSpan schedules; the expectations are NCrontab's documented behaviour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.ncrontab import CronSchedule, ScheduleError, parse_schedule
from local.host.timespan import format_timespan, parse_timespan

START = datetime(2026, 11, 21, 10, 15, 30, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("* * * * * *", ["2026-11-21T10:15:31", "2026-11-21T10:15:32"]),
        ("*/5 * * * * *", ["2026-11-21T10:15:35", "2026-11-21T10:15:40"]),
        ("*/5 * * * *", ["2026-11-21T10:20:00", "2026-11-21T10:25:00"]),
        ("7/20 * * * *", ["2026-11-21T10:27:00", "2026-11-21T10:47:00"]),
        ("0 30 9 * * *", ["2026-11-22T09:30:00", "2026-11-23T09:30:00"]),
        ("0 0 9-11 * * 1-5", ["2026-11-23T09:00:00", "2026-11-23T10:00:00"]),
        ("0 0 11-9 * * Mon-FRI", ["2026-11-23T09:00:00", "2026-11-23T10:00:00"]),
        ("0 0 0 1 Jan,july *", ["2027-01-01T00:00:00", "2027-07-01T00:00:00"]),
        ("0 0 0 29 2 *", ["2028-02-29T00:00:00", "2032-02-29T00:00:00"]),
        # Day and weekday must both fit: Friday the 13th.
        ("0 0 0 13 * Fri", ["2027-08-13T00:00:00", "2028-10-13T00:00:00"]),
        ("0 0 0 * * 0", ["2026-11-22T00:00:00", "2026-11-29T00:00:00"]),
        ("00:00:05", ["2026-11-21T10:15:35", "2026-11-21T10:15:40"]),
        ("1.00:00:00", ["2026-11-22T10:15:30", "2026-11-23T10:15:30"]),
    ],
)
def test_occurrences(text: str, expected: list[str]) -> None:
    schedule, moment, found = parse_schedule(text, UTC), START, []
    for _ in expected:
        moment = schedule.next(moment)
        found.append(moment.strftime("%Y-%m-%dT%H:%M:%S"))
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "* * * *", "* * * * * * *", "60 * * * * *", "0 0 24 * * *", "0 0 0 0 * *", "0 0 0 * 13 *"),
        *("0 0 0 * * 7", "*/0 * * * * *", "a/5 * * * * *", "1-x * * * * *", "0 0 0 * Foo *", "? * * * * *", "00:00:00"),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(ScheduleError, match="was not recognized as a valid cron expression or timespan string"):
        parse_schedule(text, UTC)


def test_a_schedule_that_never_occurs() -> None:
    with pytest.raises(ScheduleError, match="never occurs"):
        parse_schedule("0 0 0 30 2 *", UTC).next(START)


def test_time_zones_and_clock_changes() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    daily = parse_schedule("0 30 2 * * *", berlin)
    spring = daily.next(datetime(2027, 3, 27, 12, tzinfo=UTC))
    assert spring.astimezone(UTC) == datetime(2027, 3, 29, 0, 30, tzinfo=UTC), "28 March has no 02:30"
    autumn = daily.next(datetime(2026, 10, 24, 12, tzinfo=UTC))
    assert autumn.astimezone(UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "the first of the two 02:30"
    assert daily.next(autumn).astimezone(UTC) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC), "and not the second"


@pytest.mark.parametrize(
    ("text", "monitored"),
    [
        ("0 * * * * *", True),
        ("*/5 * * * *", True),
        ("*/30 * * * * *", False),
        ("*/30 0 * * * *", True),
        ("00:01:00", True),
        ("00:00:59", False),
    ],
)
def test_what_fires_more_than_once_a_minute_is_not_monitored(text: str, *, monitored: bool) -> None:
    assert parse_schedule(text, UTC).monitored is monitored


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    return st.one_of(
        st.just("*"),
        number.map(str),
        st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}"),
        st.integers(1, high).map(lambda step: f"*/{step}"),
        st.lists(number, min_size=1, max_size=3).map(lambda numbers: ",".join(map(str, numbers))),
    )


expressions = st.tuples(field(0, 59), field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 6)).map(" ".join)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis adds it


@given(expressions, moments)
def test_next_is_later_and_matches_every_field(text: str, moment: datetime) -> None:
    schedule = parse_schedule(text, UTC)
    assert isinstance(schedule, CronSchedule)
    found = schedule.next(moment)
    assert found > moment
    assert found.second in schedule.seconds
    assert found.minute in schedule.minutes
    assert found.hour in schedule.hours
    assert found.day in schedule.days
    assert found.month in schedule.months
    assert found.isoweekday() % 7 in schedule.weekdays


@given(field(0, 59), field(0, 59), moments)
def test_nothing_is_skipped(seconds: str, minutes: str, moment: datetime) -> None:
    """Within an hour every matching second is found, one after the other."""
    schedule = parse_schedule(f"{seconds} {minutes} * * * *", UTC)
    assert isinstance(schedule, CronSchedule)
    start = moment.replace(minute=0, second=0, microsecond=0)
    expected = [
        start + timedelta(minutes=minute, seconds=second)
        for minute in sorted(schedule.minutes)
        for second in sorted(schedule.seconds)
    ][:50]
    found, cursor = [], start - timedelta(seconds=1)
    for _ in expected:
        cursor = schedule.next(cursor)
        found.append(cursor)
    assert found == expected


@given(st.timedeltas(timedelta(0), timedelta(days=400)))
def test_timespans_are_read_as_they_are_written(span: timedelta) -> None:
    whole = timedelta(seconds=int(span.total_seconds()))
    assert parse_timespan(format_timespan(whole)) == whole


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:30:00", timedelta(minutes=30)),
        ("1.02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("00:00:00.5", timedelta(milliseconds=500)),
        ("00:05", timedelta(minutes=5)),
        ("-1", timedelta(days=-1)),
        ("7", timedelta(days=7)),
    ],
)
def test_timespans(text: str, span: timedelta) -> None:
    assert parse_timespan(text) == span


@pytest.mark.parametrize("text", ["", "soon", "24:00:00", "00:60:00", "1:2:3:4"])
def test_no_timespans(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time span"):
        parse_timespan(text)
