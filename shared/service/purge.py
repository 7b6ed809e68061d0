"""Clearing a queue: its waiting jobs are cancelled, in the way in which a single one is."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec

from shared.errors import AlreadyFinishedError, JobNotFoundError, UnavailableError
from shared.jobs.model import JobState, Priority
from shared.jobs.states import WAITING
from shared.service.audit import audit
from shared.service.cancel import cancel_job
from shared.service.pause import queue_named
from shared.service.ports import JobFilter, Services, TransientError
from shared.service.submit import TENANT
from shared.service.validation import convert

MAX_LIMIT = 1000
_PAGE = 200
#: Jobs that are cancelled side by side.
_AT_ONCE = 16


class PurgeRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /queues/{priority}/purge`."""

    dry_run: bool = False
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = MAX_LIMIT


class PurgeReport(msgspec.Struct, frozen=True):
    """How many jobs waited, up to the limit, and how many of them were cancelled; some may just have begun to run.

    `more` says that the call stopped at its limit: make it again to go on.
    """

    matched: int
    cancelled: int
    more: bool
    dry_run: bool


async def purge_queue(services: Services, name: str, body: Any, by: str) -> PurgeReport:
    """Cancel the waiting jobs of a queue: scheduled, queued and retrying ones. What runs is left alone.

    Raises QueueNotFoundError, InvalidRequestError, and UnavailableError, after which the call can be made again.
    """
    priority = queue_named(name)
    request = convert(body, PurgeRequest)
    try:
        waiting = await _waiting(services, priority, request.limit + 1)
    except TransientError as exc:
        raise UnavailableError(f"Nothing was purged: {exc}") from exc
    more = len(waiting) > request.limit
    waiting = waiting[: request.limit]
    if request.dry_run:
        return PurgeReport(len(waiting), 0, more, dry_run=True)
    cancelled = 0
    try:
        for start in range(0, len(waiting), _AT_ONCE):
            part = waiting[start : start + _AT_ONCE]
            cancelled += sum(await asyncio.gather(*(_cancel(services, job_id) for job_id in part)))
    finally:
        details = {"matched": len(waiting), "cancelled": cancelled, "more": more}
        await audit(services, by=by, action="queue.purge", target=priority, details=details)
    return PurgeReport(len(waiting), cancelled, more, dry_run=False)


async def _waiting(services: Services, priority: Priority, limit: int) -> list[str]:
    """The ids of up to `limit` waiting jobs, page by page."""
    ids: list[str] = []
    for hour in await services.status.hours(TENANT):
        for state in sorted(WAITING):
            after = None
            while len(ids) < limit:
                count = min(_PAGE, limit - len(ids))
                jobs = await services.status.page(TENANT, hour, JobFilter(state, None, priority), count, after)
                ids += [job.job_id for job in jobs]
                if len(jobs) < count:
                    break
                after = jobs[-1].job_id
    return ids


async def _cancel(services: Services, job_id: str) -> bool:
    try:
        job = await cancel_job(services, job_id, only_waiting=True)
    except (AlreadyFinishedError, JobNotFoundError):
        return False
    return job.state is JobState.CANCELLED
