"""Counting what happens in this process, in a row of its own; and adding up the rows of processes that are gone.

A process counts in memory and writes its row of kind "counter" about once a second while it is busy. The last job in
hand waits for that, so that a process that is stopped in good order has written all. `live` is what the row
adds to the totals. The janitor moves it of a silent process into the row `retired`, in one transaction, and notes it
under `folded`: should the process write again after all, it writes what it has counted beyond that, and nothing counts
twice or is lost. No write depends on the process's knowing whether its last one arrived.

The row carries the present minute's counts too. Once a minute is over they move to a row of kind "minute".
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime, timedelta

import msgspec

from shared.jobs.metrics import Counts, minute_of, total
from shared.jobs.model import Job, JobState
from shared.service.ports import ConflictError, PreconditionFailedError, Record, Records, TransientError
from shared.service.tracing import background_task

logger = logging.getLogger(__name__)

COUNTER, MINUTE = "counter", "minute"
RETIRED = "retired"
#: Counts are written this long after the first of them, in seconds: what a kill -9 may lose.
FLUSH_SECONDS = 1.0
#: How long the end of an invocation waits for that, in seconds, should the table not answer.
FLUSH_PATIENCE = 2.0
#: A process that has not written for so long, and has no heartbeat, is taken for gone.
SILENT = timedelta(minutes=5)
#: How long the empty row of a folded process is kept, for the process to find what was folded.
KEEP_FOLDED = timedelta(hours=1)
#: How long minutes are kept: the hour that is shown, and some.
KEEP_MINUTES = timedelta(minutes=75)
#: A transaction takes 100 records.
_FOLD_AT_ONCE = 99
_COMPLAIN_EVERY = timedelta(minutes=1)
_TRIES = 3

_EVENTS = {
    JobState.COMPLETED: ("completed",),
    JobState.FAILED: ("failed", "dead"),
    JobState.CANCELLED: ("cancelled",),
    JobState.RETRYING: ("retried",),
}
#: What an attempt that ran to an end is said to have come to.
_RAN = {
    JobState.COMPLETED: ("completed",),
    JobState.FAILED: ("failed", "timed_out"),
    JobState.CANCELLED: ("cancelled",),
    JobState.RETRYING: ("failed", "timed_out"),
}


class CounterRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """The record of a process's counts, written `at` that time."""

    at: datetime
    live: Counts = msgspec.field(default_factory=Counts)
    folded: Counts = msgspec.field(default_factory=Counts)
    minutes: dict[str, Counts] = {}


class Recorder:
    """Counts what this process does. Counting never waits and never fails; a table that is away only delays it."""

    def __init__(self, records: Records, clock: Callable[[], datetime], instance_id: str) -> None:
        #: The jobs that run now, by id.
        self.running: dict[str, Job] = {}
        self._records = records
        self._clock = clock
        self._instance_id = instance_id
        self._counted = Counts()
        self._folded = Counts()
        self._minutes: dict[str, Counts] = {}
        self._etag: str | None = None
        #: What the last write said, and when, whether it arrived or not.
        self._sent = Counts()
        self._sent_at: datetime | None = None
        self._unwritten = False
        self._invocations = 0
        self._several = False
        self._begun = asyncio.Event()
        self._written_at = 0.0
        self._writing = asyncio.Lock()
        self._later: asyncio.Task[None] | None = None
        self._complained_at: datetime | None = None

    def submitted(self, job: Job) -> None:
        """Count a job that was accepted, or an ended one that was started again."""
        for counts in self._counting():
            counts.count("submitted", job.job_type, job.priority)

    @contextmanager
    def run(self, job: Job) -> Iterator[None]:
        """Count how long a job that has just been claimed was due, and list it as running inside of the block."""
        free_since = max((job.run_at, *(attempt.finished_at for attempt in job.attempts[-1:])))
        for counts in self._counting():
            counts.waited(job.priority, (job.started_at or free_since) - free_since)
        self.running[job.job_id] = job
        try:
            yield
        finally:
            self.running.pop(job.job_id, None)

    def settled(self, job: Job) -> None:
        """Count what became of a job, once its row says so; by whoever wrote the row. An attempt counts as processed if
        it ran to an end, not where its job was cancelled in line or its owner died."""
        last = job.attempts[-1] if job.attempts else None
        ran = last is not None and last.finished_at == job.updated_at and last.outcome in _RAN[job.state]
        for counts in self._counting():
            for event in _EVENTS[job.state]:
                counts.count(event, job.job_type, job.priority)
            if last is not None and ran:
                counts.count("processed", job.job_type, job.priority)
                counts.ran(job.job_type, last.finished_at - last.started_at)

    def worker(self, event: str, count: int = 1) -> None:
        """Count an event of `shared.jobs.metrics.WORKER_EVENTS`."""
        for counts in self._counting():
            counts.count_worker(event, count)

    @asynccontextmanager
    async def invocation(self) -> AsyncIterator[None]:
        """Around the work on a message. The last one in hand leaves nothing unwritten: the process may end now."""
        self._invocations += 1
        self._several = self._several or self._invocations > 1
        self._begun.set()
        try:
            yield
        finally:
            self._invocations -= 1
            if self._invocations == 0:
                self._begun.clear()
                await self._leave()

    async def _leave(self) -> None:
        """Write, though not twice within a second, nor at all when somebody else begins meanwhile and will leave later.

        Only a host that was seen to hand out several messages at once is sure to begin another in the meantime; one
        that does not would be held up.
        """
        pause = self._written_at + FLUSH_SECONDS - time.monotonic() if self._several else 0
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, pause)):
                    await self._begun.wait()
        finally:  # when the host stops, too
            if self._invocations == 0:
                await self.flush()

    async def flush(self) -> None:
        """Write what is not written yet. Gives up after a while; the next flush makes up for it."""
        try:
            async with asyncio.timeout(FLUSH_PATIENCE), self._writing:
                if self._unwritten:
                    await self._write()
        except TimeoutError:
            self._complain(f"no answer within {FLUSH_PATIENCE:g} s")

    def _counting(self) -> Sequence[Counts]:
        """Where to count now. What is counted is written soon."""
        self._unwritten = True
        if self._later is None or self._later.done():
            self._later = background_task(self._write_later())
        return self._counted, self._minutes.setdefault(minute_of(self._clock()), Counts())

    async def _write_later(self) -> None:
        while self._unwritten:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def _write(self) -> None:
        self._unwritten = False
        written = False
        try:
            await self._move_minutes()
            await self._store()
            self._written_at = time.monotonic()
            written = True
        except TransientError as exc:
            self._complain(exc)
        finally:  # a write that was cut off in the middle is made again as well
            self._unwritten = self._unwritten or not written

    async def _move_minutes(self) -> None:
        """Give minutes that are over a row of their own."""
        now = self._clock()
        for minute in sorted(self._minutes.keys() - {minute_of(now)}):
            if minute > minute_of(now - KEEP_MINUTES):
                await self._records.put(MINUTE, f"{minute}|{self._instance_id}", self._minutes[minute])
            del self._minutes[minute]

    async def _store(self) -> None:
        before, before_at = self._sent, self._sent_at
        for _ in range(_TRIES):
            self._sent, self._sent_at = self._counted.plus(Counts()), self._clock()
            row = CounterRow(self._sent_at, self._sent.minus(self._folded), self._folded, self._minutes)
            try:
                if self._etag is None:
                    self._etag = await self._records.create(COUNTER, self._instance_id, row)
                else:
                    self._etag = await self._records.replace(COUNTER, self._instance_id, row, self._etag)
            except (ConflictError, PreconditionFailedError):
                await self._look(before, before_at)
            else:
                return
        raise TransientError(f"the row kept changing under {_TRIES} writes")

    async def _look(self, before: Counts, before_at: datetime | None) -> None:
        """See why the row is not as we left it: a write of ours whose answer was lost, a fold, or it is gone.

        `before` is what the last write but this one said. A row that is gone was lost by the table, unless that was so
        long ago that the row was folded and removed.
        """
        found = await self._records.get(COUNTER, self._instance_id)
        self._etag = found.etag if found is not None else None
        if found is not None:
            self._folded = _row(found).folded
        elif before_at is not None and self._clock() - before_at > KEEP_FOLDED:
            self._folded = before

    def _complain(self, reason: object) -> None:
        now = self._clock()
        if self._complained_at is None or now - self._complained_at >= _COMPLAIN_EVERY:
            self._complained_at = now
            logger.warning("counts are not written yet, only delayed: %s", reason)


def totals(rows: Sequence[Record]) -> Counts:
    """What all instances have counted, those that are gone too; `rows` are all records of kind "counter"."""
    return total(_row(record).live for record in rows)


def minutes(counters: Sequence[Record], rows: Sequence[Record]) -> dict[str, Counts]:
    """What all instances have counted, by minute; `rows` are the records of kind "minute"."""
    found = {record.key: msgspec.convert(record.value, Counts) for record in rows}
    for record in counters:
        for minute, counts in _row(record).minutes.items():
            found.setdefault(f"{minute}|{record.key}", counts)
    by_minute: dict[str, Counts] = {}
    for key, counts in found.items():
        minute = key.partition("|")[0]
        by_minute[minute] = by_minute.get(minute, Counts()).plus(counts)
    return by_minute


async def fold_silent(records: Records, now: datetime, alive: frozenset[str]) -> None:
    """Move the counts of processes that are silent and not `alive` into the row `retired`.

    Two janitors may do so at once: the transaction of the later one is refused, and its round left to the next.
    """
    rows = await records.list(COUNTER)
    retired = next((record for record in rows if record.key == RETIRED), None)
    silent = [(record, _row(record)) for record in rows if record.key != RETIRED and record.key not in alive]
    silent = [(record, row) for record, row in silent if row.at < now - SILENT]
    old = [record for record, row in silent if row.live == Counts() and row.at < now - KEEP_FOLDED]
    gone = [(record, row) for record, row in silent if row.live != Counts()][:_FOLD_AT_ONCE]
    try:
        if gone:
            await _fold(records, now, gone, retired)
        await _remove(records, COUNTER, old)
    except PreconditionFailedError:
        logger.info("counts of gone instances changed while they were folded; left to the next round")


async def _fold(
    records: Records, now: datetime, gone: Sequence[tuple[Record, CounterRow]], retired: Record | None
) -> None:
    for record, row in gone:
        for minute, counts in row.minutes.items():
            await records.put(MINUTE, f"{minute}|{record.key}", counts)
    known = [_row(retired).live] if retired else []
    puts = {record.key: CounterRow(now, folded=row.folded.plus(row.live)) for record, row in gone}
    puts[RETIRED] = CounterRow(now, live=total([*known, *(row.live for _, row in gone)]))
    seen = [record for record, _ in gone] + ([retired] if retired else [])
    await records.fold(COUNTER, puts, seen)


async def forget_minutes(records: Records, now: datetime) -> None:
    """Remove minutes that nobody asks for any more."""
    before = minute_of(now - KEEP_MINUTES)
    rows = await records.list(MINUTE, limit=1000)
    await _remove(records, MINUTE, [record for record in rows if record.key < before])


async def _remove(records: Records, kind: str, rows: Sequence[Record]) -> None:
    """Remove records unless somebody has written them since. Raises PreconditionFailedError."""
    for start in range(0, len(rows), _FOLD_AT_ONCE):
        await records.fold(kind, {}, rows[start : start + _FOLD_AT_ONCE])


def _row(record: Record) -> CounterRow:
    return msgspec.convert(record.value, CounterRow)
