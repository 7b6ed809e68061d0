"""What operators read: queues, workers, what was counted and what is open, and who did what."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec

from shared.errors import UnavailableError
from shared.jobs.breaker import BreakerState, state
from shared.jobs.metrics import BOUNDS, EVENTS, Counts, Histogram, last_minutes, minute_of, total
from shared.jobs.model import Instant, JobState, Priority
from shared.jobs.states import TERMINAL
from shared.service.audit import AUDIT, AuditEntry
from shared.service.breakers import breaker_of
from shared.service.flow_state import FLOW
from shared.service.heartbeat import WorkerView, live_workers
from shared.service.metrics import COUNTER, MINUTE, minutes, totals
from shared.service.ports import Services, TransientError
from shared.service.queues import Queues, QueuesView
from shared.service.submit import TENANT

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: A count of open jobs is used for so long.
OPEN_FRESH = timedelta(seconds=5)
#: What was counted is read at most so often.
COUNTS_FRESH = timedelta(seconds=1)
#: Open jobs are counted up to here.
MAX_OPEN = 10_000
SHOWN_MINUTES = 60
PERCENTILE_MINUTES = 15
_OPEN_STATES = [each for each in JobState if each not in TERMINAL]
_ENDS = ("submitted", "completed", "failed", "cancelled", "retried")
_BY_MINUTE = ("submitted", "completed", "failed", "retried")


class WorkersView(msgspec.Struct, frozen=True):
    """The live instances that take messages."""

    as_of: Instant
    workers: list[WorkerView]


class OpenView(msgspec.Struct, frozen=True):
    """Jobs that have not ended. Not `complete`: there are more than were counted."""

    total: int
    by_state: dict[str, int]
    by_job_type: dict[str, int]
    by_priority: dict[str, int]
    complete: bool


class EndsView(msgspec.Struct, frozen=True):
    """How many jobs came, and what became of them."""

    submitted: int
    completed: int
    failed: int
    cancelled: int
    retried: int


class TotalsView(EndsView, frozen=True):
    """As EndsView, with the attempts that ran to an end and the dead letters."""

    processed: int
    dead: int


class MinuteView(msgspec.Struct, frozen=True):
    """What happened in a minute."""

    minute: Instant
    submitted: int
    completed: int
    failed: int
    retried: int


class TimesView(msgspec.Struct, frozen=True):
    """How many there were, and how long half, nine tenths and all but a hundredth of them took at most, in seconds."""

    count: int
    p50: float | None
    p90: float | None
    p99: float | None


class StatsView(msgspec.Struct, frozen=True):
    """Totals since the beginning, open jobs now, the last hour by the minute, and times of the last 15 minutes."""

    as_of: Instant
    totals: TotalsView
    open: OpenView
    by_job_type: dict[str, EndsView]
    by_priority: dict[str, EndsView]
    per_minute: list[MinuteView]
    queue_wait_seconds: dict[str, TimesView]
    run_seconds: dict[str, TimesView]


class AuditView(msgspec.Struct, frozen=True):
    """Who did what, newest first."""

    entries: list[AuditEntry]


class Gauges(msgspec.Struct, frozen=True):
    """What /api/metrics tells. `depths` is empty where the broker does not answer."""

    counts: Counts
    workers: int
    depths: dict[str, int]
    open_breakers: dict[str, bool]


class _Kept(Generic[T]):
    """The last answer, for a while; those who ask at once share one question."""

    def __init__(self, ask: Callable[[], Awaitable[T]], clock: Callable[[], datetime], fresh: timedelta) -> None:
        self._ask = ask
        self._clock = clock
        self._fresh = fresh
        self._asking = asyncio.Lock()
        self._answer: tuple[datetime, T] | None = None

    async def get(self) -> T:
        async with self._asking:
            if self._answer is None or self._clock() - self._answer[0] >= self._fresh:
                began = self._clock()
                self._answer = (began, await self._ask())
            return self._answer[1]


class Monitor:
    """The answers of one process. Every method raises UnavailableError when a service does not answer."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._queues = Queues(services)
        self._open = _Kept(self._count_open, services.clock, OPEN_FRESH)
        self._counts = _Kept(self._read_counts, services.clock, COUNTS_FRESH)

    async def queues(self) -> QueuesView:
        """What the queues hold, at most 5 s old; up to 60 s where the broker does not answer."""
        with _unavailable("The queues"):
            return await self._queues.view()

    async def workers(self) -> WorkersView:
        """The instances that were heard of lately."""
        now = self._services.clock()
        with _unavailable("The workers"):
            return WorkersView(now, await live_workers(self._services.records, now))

    async def stats(self) -> StatsView:
        """Everything that is counted."""
        now = self._services.clock()
        with _unavailable("The statistics"):
            (counts, by_minute), is_open = await asyncio.gather(self._counts.get(), self._open.get())
        recent = total(by_minute.get(minute_of(each), Counts()) for each in last_minutes(now, PERCENTILE_MINUTES))
        job_types = {job_type.name for job_type in self._services.registry}
        events = counts.events()
        return StatsView(
            as_of=now,
            totals=TotalsView(**_sums(EVENTS, (each for _, _, each in events))),
            open=is_open,
            by_job_type={
                name: EndsView(**_sums(_ENDS, (each for job_type, _, each in events if job_type == name)))
                for name in sorted(job_types | {job_type for job_type, _, _ in events})
            },
            by_priority={
                name: EndsView(**_sums(_ENDS, (each for _, priority, each in events if priority == name)))
                for name in Priority
            },
            per_minute=[
                MinuteView(each, **_sums(_BY_MINUTE, _events_of(by_minute.get(minute_of(each)))))
                for each in last_minutes(now, SHOWN_MINUTES)
            ],
            queue_wait_seconds=_times(recent.wait_times(), Priority),
            run_seconds=_times(recent.run_times(), sorted(job_types | recent.run_times().keys())),
        )

    async def audit(self, limit: int) -> AuditView:
        """The last `limit` things that somebody did."""
        with _unavailable("The audit trail"):
            records = await self._services.records.list(AUDIT, limit=limit)
        return AuditView([msgspec.convert(record.value, AuditEntry) for record in records])

    async def gauges(self) -> Gauges:
        """What a scrape needs."""
        now = self._services.clock()
        with _unavailable("The metrics"):
            counts, _ = await self._counts.get()
            workers = await live_workers(self._services.records, now)
            flow = {record.key: record.value for record in await self._services.records.list(FLOW)}
        try:
            depths = await self._queues.depths()
        except TransientError as exc:
            logger.debug("no queue depths: %s", exc)
            depths = {}
        breakers = {
            job_type.name: state(breaker_of(flow, job_type.name), now) is not BreakerState.CLOSED
            for job_type in self._services.registry
        }
        return Gauges(counts, len(workers), depths, breakers)

    async def _read_counts(self) -> tuple[Counts, dict[str, Counts]]:
        records = self._services.records
        first = minute_of(last_minutes(self._services.clock(), SHOWN_MINUTES)[0])
        counters, rows = await asyncio.gather(records.list(COUNTER), records.list(MINUTE, first=first))
        return totals(counters), minutes(counters, rows)

    async def _count_open(self) -> OpenView:
        jobs = await self._services.status.open_jobs(TENANT, MAX_OPEN + 1)
        complete = len(jobs) <= MAX_OPEN
        jobs = jobs[:MAX_OPEN]
        states = Counter(job.state for job in jobs)
        priorities = Counter(job.priority for job in jobs)
        return OpenView(
            len(jobs),
            {each: states[each] for each in _OPEN_STATES},
            dict(sorted(Counter(job.job_type for job in jobs).items())),
            {each: priorities[each] for each in Priority},
            complete,
        )


@contextmanager
def _unavailable(what: str) -> Iterator[None]:
    try:
        yield
    except TransientError as exc:
        raise UnavailableError(f"{what} could not be read: {exc}") from exc


def _events_of(counts: Counts | None) -> list[dict[str, int]]:
    return [events for _, _, events in counts.events()] if counts is not None else []


def _sums(names: Iterable[str], events: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found = list(events)
    return {name: sum(each[name] for each in found) for name in names}


def _times(histograms: Mapping[str, Histogram], names: Iterable[str]) -> dict[str, TimesView]:
    nothing = Histogram(0.0, (0,) * (len(BOUNDS) + 1))
    return {name: _times_view(histograms.get(name, nothing)) for name in names}


def _times_view(histogram: Histogram) -> TimesView:
    p50, p90, p99 = (histogram.percentile(share) for share in (0.5, 0.9, 0.99))
    return TimesView(histogram.count, p50, p90, p99)
