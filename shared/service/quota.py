"""The quota of open jobs that a tenant has: counted now and then, and kept by every instance for itself in between."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.errors import QuotaExceededError
from shared.service.ports import StatusStore, TransientError

logger = logging.getLogger(__name__)

#: A tenant's open jobs are counted at most so often by an instance.
COUNT_INTERVAL = timedelta(seconds=10)


class TenantQuota:
    """How many more jobs a tenant may submit: what the last count left, less what this instance has accepted since.

    Approximate over instances: what others accept between two counts is not known here, nor is what has ended since. A
    quota of 0 is none, and costs nothing.
    """

    def __init__(self, status: StatusStore, max_open: int, clock: Callable[[], datetime]) -> None:
        self._status = status
        self._max_open = max_open
        self._clock = clock
        self._counting = asyncio.Lock()
        self._counted_at: dict[str, datetime] = {}
        self._open: dict[str, int] = {}

    async def reserve(self, tenant: str, wanted: int) -> int:
        """How many of `wanted` jobs may be accepted; they count as open from now on.

        Where the rows cannot be counted the last count holds: no job is refused for that.
        """
        if not self._max_open:
            return wanted
        async with self._counting:
            if self._next_count(tenant) <= self._clock():
                await self._count(tenant)
        allowed = max(0, min(wanted, self._max_open - self._open[tenant]))
        self._open[tenant] += allowed
        return allowed

    def exceeded(self, tenant: str) -> QuotaExceededError:
        """What to tell about a job that was not accepted; the next count may find room."""
        wait = (self._next_count(tenant) - self._clock()).total_seconds()
        return QuotaExceededError(
            f"The tenant {tenant} has its {self._max_open:,} open jobs. Submit again when some of them have ended.",
            retry_after=max(1, math.ceil(wait)),
        )

    def _next_count(self, tenant: str) -> datetime:
        counted_at = self._counted_at.get(tenant)
        return self._clock() if counted_at is None else counted_at + COUNT_INTERVAL

    async def _count(self, tenant: str) -> None:
        self._counted_at[tenant] = self._clock()
        try:
            self._open[tenant] = await self._status.count_unfinished(tenant, self._max_open + 1)
        except TransientError as exc:
            self._open.setdefault(tenant, 0)
            logger.warning("the open jobs of %s could not be counted, the last count holds: %s", tenant, exc)
