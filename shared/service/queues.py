"""What the queues hold, asked of the broker so seldom that no number of readers can use up its credits."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

import msgspec

from shared.jobs.model import Instant, Priority
from shared.service.flow import held_queues, queue_key
from shared.service.flow_state import FLOW
from shared.service.pause import Pause
from shared.service.ports import QueueCounts, Services, TransientError

logger = logging.getLogger(__name__)

#: Kind and key of the broker's last answer, which all instances share.
QUEUES, SNAPSHOT = "queues", "snapshot"
#: An answer of the broker is used for so long.
FRESH = timedelta(seconds=5)
#: And so long where it does not answer.
USABLE = timedelta(seconds=60)


class QueueView(msgspec.Struct, frozen=True):
    """A queue: messages to be had now (those in workers' hands too) and later ones; how long the oldest has waited,
    null where nothing waits or where the queue is held, which hides it."""

    priority: Priority
    active: int
    scheduled: int
    oldest_age_seconds: float | None
    paused: Pause | None


class QueuesView(msgspec.Struct, frozen=True):
    """All queues as the broker told of them at that time; pauses as they are now."""

    as_of: Instant
    queues: list[QueueView]
    dead: int
    poison: int


class _Snapshot(msgspec.Struct, frozen=True):
    as_of: Instant
    counts: dict[str, QueueCounts]
    oldest: dict[Priority, datetime | None]

    def age(self, priority: Priority) -> float | None:
        """How long the oldest message had waited, in seconds."""
        oldest = self.oldest[priority]
        if oldest is None or oldest.year == 1:  # a held queue: see JobQueue.oldest_waiting
            return None
        return max(0.0, (self.as_of - oldest).total_seconds())


class Queues:
    """The queues as one process sees them. Every method raises TransientError where no answer is young enough."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asking = asyncio.Lock()
        self._last: _Snapshot | None = None
        self._failed: TransientError | None = None
        self._failed_at = services.clock()

    async def view(self) -> QueuesView:
        """What they hold, at most 5 s old, or 60 s where the broker does not answer; and the pauses of now."""
        snapshot = await self._snapshot()
        flow = {record.key: record.value for record in await self._services.records.list(FLOW)}
        views = []
        for priority in Priority:
            counts, paused = snapshot.counts[priority], flow.get(queue_key(priority))
            pause = None if paused is None else msgspec.convert(paused, Pause)
            views.append(QueueView(priority, counts.active, counts.scheduled, snapshot.age(priority), pause))
        return QueuesView(snapshot.as_of, views, snapshot.counts["dead"].active, snapshot.counts["poison"].active)

    async def depths(self) -> dict[str, int]:
        """The active messages of each priority, as old as in `view`."""
        snapshot = await self._snapshot()
        return {priority: snapshot.counts[priority].active for priority in Priority}

    async def _snapshot(self) -> _Snapshot:
        async with self._asking:
            now = self._services.clock()
            if not self._has_fresh(now) and (self._failed is None or now - self._failed_at >= FRESH):
                await self._renew(now)
            if self._last is not None and now - self._last.as_of < USABLE:
                return self._last
            raise TransientError(str(self._failed))

    async def _renew(self, now: datetime) -> None:
        self._failed = None
        shared = await self._shared()
        if shared is not None and (self._last is None or shared.as_of > self._last.as_of):
            self._last = shared
        if self._has_fresh(now):
            return
        services = self._services
        try:
            held = held_queues(await services.flow.state.read())
            counts, oldest = await asyncio.gather(services.queue_admin.counts(), services.queue.oldest_waiting(held))
        except TransientError as exc:
            logger.warning("the broker does not tell what its queues hold, an older answer has to do: %s", exc)
            self._failed, self._failed_at = exc, now
            return
        self._last = _Snapshot(now, dict(counts), dict(oldest))
        try:
            await services.records.put(QUEUES, SNAPSHOT, self._last)
        except TransientError as exc:
            logger.debug("other instances have to ask the broker themselves: %s", exc)

    async def _shared(self) -> _Snapshot | None:
        """The answer that another instance got."""
        try:
            found = await self._services.records.get(QUEUES, SNAPSHOT)
        except TransientError as exc:
            logger.debug("what other instances know is out of reach: %s", exc)
            return None
        return None if found is None else msgspec.convert(found.value, _Snapshot)

    def _has_fresh(self, now: datetime) -> bool:
        return self._last is not None and now - self._last.as_of < FRESH
