"""What a worker tells of itself every few seconds, and the end of those that tell nothing any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import msgspec

from shared import __version__
from shared.jobs.model import Instant, Priority
from shared.service.metrics import fold_silent, forget_minutes
from shared.service.ports import PreconditionFailedError, Record, Records, Services, TransientError
from shared.service.tracing import background_task

logger = logging.getLogger(__name__)

WORKER = "worker"
BEAT_SECONDS = 10.0
#: Who has not been heard of for so long is taken for dead.
STALE = timedelta(seconds=35)
#: How many of the jobs that a worker runs it names.
MAX_RUNNING = 50
_COMPLAIN_EVERY = timedelta(minutes=1)
#: A transaction takes 100 records.
_REMOVE_AT_ONCE = 100


class RunningView(msgspec.Struct, frozen=True):
    """A job that a worker runs now."""

    job_id: str
    job_type: str
    priority: Priority
    started_at: Instant


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """A live instance: which functions have run in it so far, what it can run at once, and what it runs."""

    instance_id: str
    functions: list[str]
    version: str
    started_at: Instant
    last_seen_at: Instant
    slots: int
    running: list[RunningView]


class Heartbeat:
    """The sign of life of this process, from its first message on."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._functions: set[str] = set()
        self._started_at = services.clock()
        self._beating: asyncio.Task[None] | None = None
        self._complained_at: datetime | None = None

    @asynccontextmanager
    async def serving(self, function: str) -> AsyncIterator[None]:
        """Around every invocation of a function that takes messages."""
        self._functions.add(function)
        if self._beating is None or self._beating.done():
            self._beating = background_task(self._beat_on())
        async with self._services.metrics.invocation():
            yield

    async def _beat_on(self) -> None:
        while True:
            try:
                await self.beat()
            except TransientError as exc:
                self._complain(exc)
            await asyncio.sleep(BEAT_SECONDS)

    async def beat(self) -> None:
        """Write the record once, and renew the leases of limits. Raises TransientError."""
        services = self._services
        await services.flow.limiter.renew()
        jobs = list(services.metrics.running.values())[:MAX_RUNNING]
        view = WorkerView(
            instance_id=services.instance_id,
            functions=sorted(self._functions),
            version=__version__,
            started_at=self._started_at,
            last_seen_at=services.clock(),
            slots=services.settings.slots,
            running=[RunningView(job.job_id, job.job_type, job.priority, job.started_at or job.run_at) for job in jobs],
        )
        await services.records.put(WORKER, services.instance_id, view)
        services.metrics.worker("heartbeats")

    def _complain(self, exc: TransientError) -> None:
        now = self._services.clock()
        if self._complained_at is None or now - self._complained_at >= _COMPLAIN_EVERY:
            self._complained_at = now
            logger.warning("no heartbeat is written, this instance looks dead: %s", exc)


async def live_workers(records: Records, now: datetime) -> list[WorkerView]:
    """The workers that were heard of lately. Raises TransientError."""
    views = [_view(record) for record in await records.list(WORKER)]
    return [view for view in views if view.last_seen_at >= now - STALE]


async def clean_up(services: Services) -> None:
    """The janitor's part: remove the heartbeats of the dead, fold their counts, forget old minutes.

    Raises TransientError; the next round begins anew.
    """
    now = services.clock()
    rows = await services.records.list(WORKER)
    dead = [record for record in rows if _view(record).last_seen_at < now - STALE]
    for start in range(0, len(dead), _REMOVE_AT_ONCE):
        await _remove(services, dead[start : start + _REMOVE_AT_ONCE])
    await fold_silent(services.records, now, frozenset(record.key for record in rows if record not in dead))
    await forget_minutes(services.records, now)


async def _remove(services: Services, dead: list[Record]) -> None:
    try:
        await services.records.fold(WORKER, {}, dead)
    except PreconditionFailedError:
        logger.info("one of %d dead workers is alive, or removed by another janitor; left to the next round", len(dead))
        return
    services.metrics.worker("cleaned_up", len(dead))


def _view(record: Record) -> WorkerView:
    return msgspec.convert(record.value, WorkerView)
