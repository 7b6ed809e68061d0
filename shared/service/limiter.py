"""Rate and concurrency limits of job types and tenants, shared by all instances through one small record each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from shared.config import Settings
from shared.jobs.admission import Refusal
from shared.jobs.limits import Line
from shared.jobs.model import Job
from shared.service.ports import Records
from shared.service.shared_limit import SharedLimit


class Grant(msgspec.Struct, frozen=True):
    """A job may start, but not before `at`, which is at most a second ahead."""

    at: datetime


class Limiter:
    """The limits of job types and of tenants, kept over all instances.

    Every `take` that ends in a Grant needs a `give_back` once the job does not run any more, or will not run. When the
    records do not answer, jobs of limited types are put off for some seconds: no limit is exceeded, and no job fails.
    """

    def __init__(
        self,
        settings: Settings,
        records: Records,
        clock: Callable[[], datetime],
        rng: random.Random,
        instance_id: str,
    ) -> None:
        self._settings = settings
        self._records = records
        self._clock = clock
        self._rng = rng
        self._instance_id = instance_id
        self._shared: dict[str, SharedLimit] = {}

    async def take(self, job: Job, *, returning: bool, demand: int) -> Grant | Refusal:
        """Let a job start, or say when to ask again and whether it then has a place (`Refusal.lines_up`).

        `returning` is for a job that comes back from such a place. `demand` is how many jobs of its type wait in this
        instance to ask next, this one included: tokens are fetched for them too. Never raises TransientError.
        """
        line = Line(job.priority, returning)
        taken: list[tuple[SharedLimit, float]] = []
        granted = False
        try:
            for shared in self._limits_of(job):
                answer = await shared.take(job.job_id, line, demand)
                if isinstance(answer, Refusal):
                    return answer
                taken.append((shared, answer))
            granted = True
        finally:
            if not granted:
                for shared, token in taken:
                    shared.put_back(job.job_id, token)
        tokens = [datetime.fromtimestamp(token, UTC) for _, token in taken]
        return Grant(max([self._clock(), *tokens]))

    async def give_back(self, job: Job) -> None:
        """The job does not run any more."""
        for shared in self._limits_of(job):
            shared.release(job.job_id)

    async def renew(self) -> None:
        """Keep the leases of what runs, and give back the others. Call it every 10 s: a lease lasts for 30."""
        await asyncio.gather(*(shared.renew() for shared in self._shared.values()))

    def _limits_of(self, job: Job) -> list[SharedLimit]:
        """The limits that a job is under."""
        limits = {
            f"job_type:{job.job_type}": self._settings.job_type_limits.get(job.job_type),
            f"tenant:{job.tenant}": self._settings.tenant_limits,
        }
        for key, limit in limits.items():
            if limit and key not in self._shared:
                self._shared[key] = SharedLimit(self._records, key, limit, self._clock, self._rng, self._instance_id)
        return [self._shared[key] for key, limit in limits.items() if limit]
