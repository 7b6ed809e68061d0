"""Timer schedules: NCRONTAB expressions of five or six fields, and constant intervals.

NCrontab's own language (github.com/atifaziz/NCrontab), which is not cron's: seconds come first, day and weekday must
both match, weekdays run from 0 (Sunday) to 6, a name may be cut short, and a reversed range is turned round.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Protocol

from local.host.timespan import parse_timespan

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_SEARCH_YEARS = 60  # 29 February on a given weekday comes round within 40 years; what does not come by then never does


class ScheduleError(ValueError):
    """The text is no schedule. The message says what the real host says."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    minimum: int
    maximum: int
    names: tuple[str, ...] = ()

    def parse(self, text: str) -> frozenset[int]:
        return frozenset().union(*(self._parse_part(part) for part in text.split(",")))

    def _parse_part(self, part: str) -> range:
        text, slash, step_text = part.partition("/")
        step = int(step_text) if step_text.isdecimal() else 0 if slash else 1
        if step < 1:
            raise ScheduleError(f"'{part}' of the {self.name} field has no valid step.")
        if text == "*":
            first, last = self.minimum, self.maximum
        elif "-" in text:
            start, _, end = text.partition("-")
            first, last = sorted((self._value(start), self._value(end)))
        else:
            first = self._value(text)
            last = self.maximum if slash else first
        return range(first, last + 1, step)

    def _value(self, text: str) -> int:
        if text.isdecimal():
            value = int(text)
            if not self.minimum <= value <= self.maximum:
                raise ScheduleError(f"{value} is no {self.name}: they go from {self.minimum} to {self.maximum}.")
            return value
        for position, name in enumerate(self.names):
            if text and name.lower().startswith(text.lower()):
                return position + self.minimum
        raise ScheduleError(f"'{text}' is not a valid {self.name}.")


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("weekday", 0, 6, _WEEKDAYS),
)


class Schedule(Protocol):
    """When a timer fires."""

    def next(self, after: datetime) -> datetime:
        """The first occurrence later than `after` (aware), in the schedule's time zone."""

    @property
    def monitored(self) -> bool:
        """Whether missed occurrences may be remembered: not for what fires more than once a minute."""


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """An NCRONTAB expression in a time zone."""

    seconds: frozenset[int]
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    zone: tzinfo

    @property
    def monitored(self) -> bool:
        full = zip((self.minutes, self.hours, self.days, self.months, self.weekdays), _FIELDS[1:], strict=True)
        every_minute = all(len(values) == field.maximum - field.minimum + 1 for values, field in full)
        return not (every_minute and len(self.seconds) > 1)

    def next(self, after: datetime) -> datetime:
        moment = after.astimezone(self.zone).replace(tzinfo=None, microsecond=0) + timedelta(seconds=1)
        while True:
            moment = self._next_naive(moment)
            occurrence = moment.replace(tzinfo=self.zone)
            # An hour that a clock change leaves out does not come; one that it repeats counts once.
            exists = occurrence.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) == moment
            if exists and occurrence > after:
                return occurrence
            moment += timedelta(seconds=1)

    def _next_naive(self, moment: datetime) -> datetime:
        """The first matching wall-clock second at or after `moment`."""
        last_year = moment.year + _SEARCH_YEARS
        while moment.year <= last_year:
            weekday = moment.isoweekday() % 7
            if moment.month not in self.months or moment.day not in self.days or weekday not in self.weekdays:
                moment = moment.replace(hour=0, minute=0, second=0) + timedelta(days=1)
            elif moment.hour not in self.hours:
                moment = moment.replace(minute=0, second=0) + timedelta(hours=1)
            elif moment.minute not in self.minutes:
                moment = moment.replace(second=0) + timedelta(minutes=1)
            elif moment.second not in self.seconds:
                moment += timedelta(seconds=1)
            else:
                return moment
        raise ScheduleError("The schedule never occurs.")


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """A constant interval from now."""

    interval: timedelta

    @property
    def monitored(self) -> bool:
        return self.interval >= timedelta(minutes=1)

    def next(self, after: datetime) -> datetime:
        return after + self.interval


def parse_schedule(text: str, zone: tzinfo) -> CronSchedule | IntervalSchedule:
    """The schedule that `text` (already %expanded%) describes; ScheduleError when it is none."""
    fields = text.split()
    if len(fields) == 5:
        fields = ["0", *fields]
    try:
        if len(fields) == 6:
            values = [field.parse(value) for field, value in zip(_FIELDS, fields, strict=True)]
            return CronSchedule(values[0], values[1], values[2], values[3], values[4], values[5], zone)
        interval = parse_timespan(text)
    except ValueError as error:
        raise _unrecognized(text, error) from None
    if interval <= timedelta(0):
        raise _unrecognized(text, ValueError("an interval must be longer than zero."))
    return IntervalSchedule(interval)


def _unrecognized(text: str, error: ValueError) -> ScheduleError:
    return ScheduleError(
        f"The schedule expression '{text}' was not recognized as a valid cron expression or timespan string. ({error})"
    )
