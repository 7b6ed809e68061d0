"""What is counted of jobs, and how counts are added up, made into percentiles and laid out by the minute. Pure.

Everything counted is a whole number, times in microseconds, so that sums over instances, and what is left of a sum once
a part has been taken out of it, are exact.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

#: What can happen to a job, in the order of the numbers of `Counts.jobs`. Only ever appended to: older rows lie in the
#: table during a roll-out.
EVENTS = ("submitted", "processed", "completed", "failed", "cancelled", "retried", "dead")
#: As EVENTS, of `Counts.workers`.
WORKER_EVENTS = ("heartbeats", "cleaned_up")

#: Upper bounds of the histograms, in seconds; a last bucket holds what took longer. Only ever appended to.
BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0)

#: Job types that are told apart; jobs of more are counted together, for a record holds 32,000 characters.
MAX_JOB_TYPES = 40
OTHER = "other"

_MINUTE = "%Y%m%d%H%M"

#: Numbers by label. Those of different lengths add up as if the shorter one ended in zeros.
Series = dict[str, list[int]]


class Histogram(msgspec.Struct, frozen=True):
    """How often something took how long: `counts` by bucket, those of BOUNDS and one above, not cumulative."""

    seconds: float
    counts: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many there are in all."""
        return sum(self.counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """Upper bound (the last is infinite) and how many took at most so long."""
        return list(zip((*BOUNDS, math.inf), itertools.accumulate(self.counts), strict=True))

    def percentile(self, share: float) -> float | None:
        """About how long the given share (0..1) took at most, evenly spread within its bucket; None of nothing.

        The answer lies in the bucket of the true one; above the last bound it is that bound.
        """
        rank = share * self.count
        below = 0
        for low, high, count in zip((0.0, *BOUNDS), (*BOUNDS, BOUNDS[-1]), self.counts, strict=True):
            if count and below + count >= rank:
                return low + (high - low) * (rank - below) / count
            below += count
        return None


class Counts(msgspec.Struct, omit_defaults=True):
    """All that is counted: events by `job_type|priority`, run times by job type, waits by priority, and of workers."""

    jobs: Series = {}
    runs: Series = {}
    waits: Series = {}
    workers: Series = {}

    def count(self, event: str, job_type: str, priority: str) -> None:
        """Count an event of EVENTS."""
        _add_at(self.jobs, f"{self._name(job_type)}|{priority}", EVENTS.index(event), 1)

    def ran(self, job_type: str, time: timedelta) -> None:
        """Count how long an attempt took."""
        _observe(self.runs, self._name(job_type), time)

    def waited(self, priority: str, time: timedelta) -> None:
        """Count how long a job was due before it began."""
        _observe(self.waits, priority, time)

    def count_worker(self, event: str, count: int = 1) -> None:
        """Count an event of WORKER_EVENTS."""
        _add_at(self.workers, "all", WORKER_EVENTS.index(event), count)

    def events(self) -> list[tuple[str, str, dict[str, int]]]:
        """Job type, priority and how often each event happened, in order."""
        found = []
        for label, numbers in sorted(self.jobs.items()):
            job_type, _, priority = label.rpartition("|")
            found.append((job_type, priority, _named(EVENTS, numbers)))
        return found

    def run_times(self) -> dict[str, Histogram]:
        """How long attempts took, by job type."""
        return {name: _histogram(numbers) for name, numbers in sorted(self.runs.items())}

    def wait_times(self) -> dict[str, Histogram]:
        """How long jobs were due before they began, by priority."""
        return {name: _histogram(numbers) for name, numbers in self.waits.items()}

    def worker_events(self) -> dict[str, int]:
        """How often each of WORKER_EVENTS happened."""
        return _named(WORKER_EVENTS, self.workers.get("all", []))

    def plus(self, other: Counts) -> Counts:
        """The sum of both."""
        return self._with(other, 1)

    def minus(self, other: Counts) -> Counts:
        """What is left of these without `other`, which is part of them."""
        return self._with(other, -1)

    def _with(self, other: Counts, factor: int) -> Counts:
        fields = {name: _sum(getattr(self, name), getattr(other, name), factor) for name in self.__struct_fields__}
        return Counts(**fields)

    def _name(self, job_type: str) -> str:
        known = {label.rpartition("|")[0] for label in self.jobs} | self.runs.keys()
        return job_type if job_type in known or len(known) < MAX_JOB_TYPES else OTHER


def total(counts: Iterable[Counts]) -> Counts:
    """The sum of all."""
    result = Counts()
    for each in counts:
        result = result.plus(each)
    return result


def minute_of(moment: datetime) -> str:
    """The minute of a time as `yyyymmddhhmm`: these sort as times do."""
    return moment.strftime(_MINUTE)


def last_minutes(now: datetime, count: int) -> list[datetime]:
    """The starts of the last `count` minutes, oldest first; the present one, which has just begun, is the last."""
    present = now.replace(second=0, microsecond=0)
    return [present - timedelta(minutes=ago) for ago in reversed(range(count))]


def _observe(series: Series, label: str, time: timedelta) -> None:
    # The sum comes first, so that buckets can be appended.
    microseconds = max(0, time // timedelta(microseconds=1))
    _add_at(series, label, 0, microseconds)
    _add_at(series, label, 1 + bisect.bisect_left(BOUNDS, microseconds / 1e6), 1)


def _histogram(numbers: Sequence[int]) -> Histogram:
    microseconds, *counts = numbers
    padded = itertools.chain(counts, itertools.repeat(0))
    return Histogram(microseconds / 1e6, tuple(itertools.islice(padded, len(BOUNDS) + 1)))


def _named(names: Sequence[str], numbers: Sequence[int]) -> dict[str, int]:
    """The numbers by name; a row of a newer release may have more of them."""
    return dict(zip(names, itertools.chain(numbers, itertools.repeat(0)), strict=False))


def _add_at(series: Series, label: str, place: int, number: int) -> None:
    numbers = series.setdefault(label, [])
    numbers.extend([0] * (place + 1 - len(numbers)))
    numbers[place] += number


def _sum(one: Mapping[str, list[int]], other: Mapping[str, list[int]], factor: int) -> Series:
    """Both added up, label by label; what comes to nothing is left out, so that equal sums look alike."""
    result = {}
    for label in [*one, *(label for label in other if label not in one)]:
        pairs = itertools.zip_longest(one.get(label, ()), other.get(label, ()), fillvalue=0)
        numbers = [first + factor * second for first, second in pairs]
        while numbers and not numbers[-1]:
            numbers.pop()
        if numbers:
            result[label] = numbers
    return result
