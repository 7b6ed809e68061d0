"""A job while its handler runs: reports gathered into few writes, the lease renewed, cancel requests noticed."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from datetime import timedelta

import msgspec

from shared.jobs.context import Http, Setting
from shared.jobs.model import Job, JobState, TimelineEntry, VersionedJob
from shared.jobs.outcomes import JobCancelled, LeaseLost, RetryableError
from shared.service.ports import ConflictError, PreconditionFailedError, Services, TransientError
from shared.service.provider_http import DeadlineHttp

logger = logging.getLogger(__name__)

#: Reports are written to the row at most this often, in seconds; what is reported in between shares one write.
WRITE_INTERVAL = 0.5
#: Longest timeline. A handler that reports more keeps the first half and the newest of the rest.
MAX_TIMELINE = 1_000
MAX_MESSAGE = 200
_TRIES = 10


class RunningJob:
    """The `JobContext` of one attempt, and its owner's side of the status row.

    Between `hold()` and `release()` a task beside the handler writes progress and renews the lease; `write` is for
    what follows. `job` is the job with everything reported so far.
    """

    def __init__(self, services: Services, held: VersionedJob) -> None:
        self.job = held.job
        self.lost = False
        self.http: Http = DeadlineHttp(self.check, self.remaining_seconds)
        self._services = services
        self._stored = held
        self._deadline = time.monotonic() + held.job.timeout_seconds
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._reported = asyncio.Event()
        self._writing = asyncio.Lock()
        self._holder: asyncio.Task[None] | None = None

    @property
    def job_id(self) -> str:
        """The job's id."""
        return self.job.job_id

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""
        return self.job.attempt

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this run."""
        return f"{self.job.job_id}:{self.job.run}"

    def setting(self, setting: Setting) -> str:
        """The value of a setting that the job type declared."""
        return self._services.settings.job_type_settings[setting.name]

    def remaining_seconds(self) -> float:
        """How long the attempt may still take."""
        return max(0.0, self._deadline - time.monotonic())

    def progress(self, percent: int, message: str = "") -> None:
        """Take a report, from any thread. Raises as `check` does."""
        self.check()
        entry = TimelineEntry(self._services.clock(), min(100, max(0, int(percent))), message[:MAX_MESSAGE])
        if threading.get_ident() == self._thread:
            self._report(entry)
        else:
            self._loop.call_soon_threadsafe(self._report, entry)

    def check(self) -> None:
        """Raise what the handler has to know before it goes on: taken over, cancelled or out of time."""
        if self.lost:
            raise LeaseLost(f"job {self.job_id} is run by another instance")
        if self.job.cancel_requested:
            raise JobCancelled(f"job {self.job_id} was cancelled")
        if self.remaining_seconds() <= 0:
            raise RetryableError(f"The attempt exceeded its {self.job.timeout_seconds:g} s.", code="timeout")

    def hold(self) -> None:
        """Begin to write progress and to renew the lease."""
        self._holder = asyncio.create_task(self._keep())

    async def release(self) -> None:
        """End what `hold` began. Whatever a handler that outlived its deadline reports from now on is refused."""
        self._deadline = 0
        if self._holder is not None:
            async with self._writing:  # a write cut off in the middle would leave us without the row's ETag
                self._holder.cancel()
            await asyncio.gather(self._holder, return_exceptions=True)

    async def write(self, new: Job) -> VersionedJob | None:
        """Write the row's next content as its owner; None (and `lost`) when it is not ours any more.

        A row that somebody else touched, by a cancel request, is written on top of; one that is gone, because the
        table lost it, is made anew. Raises TransientError.
        """
        for _ in range(_TRIES):
            try:
                etag = await self._services.status.update(self._stored.job, new, self._stored.etag)
            except PreconditionFailedError:
                found = await self._services.status.get(new.tenant, new.job_id)
                if found is None:
                    inserted = await self._insert(new)
                    if inserted is None:
                        continue
                    etag = inserted
                elif found.job == new:
                    etag = found.etag  # a call of ours, whose answer was lost, has written it
                elif self.is_ours(found.job):
                    self._stored = found
                    new = msgspec.structs.replace(new, cancel_requested=found.job.cancel_requested)
                    continue
                else:
                    self.lost = True
                    return None
            self._stored = VersionedJob(new, etag)
            return self._stored
        raise TransientError(f"job {new.job_id}: its row kept changing under {_TRIES} writes")

    async def _insert(self, new: Job) -> str | None:
        try:
            return await self._services.status.insert(new)
        except ConflictError:
            return None

    def is_ours(self, row: Job) -> bool:
        """Whether a row is still that of this claim."""
        return row.state is JobState.RUNNING and (row.run, row.fence, row.owner) == (
            self.job.run,
            self.job.fence,
            self.job.owner,
        )

    def _report(self, entry: TimelineEntry) -> None:
        timeline = (*self.job.timeline, entry)
        if len(timeline) > MAX_TIMELINE:
            timeline = (*timeline[: MAX_TIMELINE // 2], *timeline[MAX_TIMELINE // 2 + 1 :])
        self.job = msgspec.structs.replace(
            self.job, progress=entry.progress, message=entry.message, timeline=timeline, updated_at=entry.at
        )
        self._services.notifier.publish(self.job)
        self._reported.set()

    async def _keep(self) -> None:
        lease = timedelta(seconds=self._services.settings.lease_seconds)
        while not self.lost:
            try:
                async with asyncio.timeout(lease.total_seconds() / 3):
                    await self._reported.wait()
                    await asyncio.sleep(WRITE_INTERVAL)
            except TimeoutError:
                logger.debug("job %s: renewing its lease", self.job_id)
            self._reported.clear()
            async with self._writing:
                await self._renew(lease)

    async def _renew(self, lease: timedelta) -> None:
        try:
            written = await self.write(
                msgspec.structs.replace(self.job, lease_until=self._services.clock() + lease),
            )
        except TransientError as exc:
            logger.warning("job %s: progress not written, trying again: %s", self.job_id, exc)
            return
        if written is not None:
            # Reports may have come in meanwhile: only what the row decides is taken over.
            self.job = msgspec.structs.replace(
                self.job, lease_until=written.job.lease_until, cancel_requested=written.job.cancel_requested
            )
