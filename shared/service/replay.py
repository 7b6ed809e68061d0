"""Running an ended job again, by itself or from the dead letters: the same id, the same history, a new run."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import msgspec

from shared.errors import JobNotFoundError, NotRetryableError, UnavailableError
from shared.jobs.ids import is_job_id, message_id
from shared.jobs.model import Job, JobState, VersionedJob
from shared.jobs.states import change
from shared.service.audit import audit
from shared.service.claim import message_for
from shared.service.ports import (
    ConflictError,
    DeadLetter,
    Outgoing,
    PreconditionFailedError,
    Services,
    TransientError,
)
from shared.service.submit import TENANT
from shared.service.validation import convert

logger = logging.getLogger(__name__)

MAX_LIMIT = 1000
RETRYABLE = frozenset({JobState.FAILED, JobState.CANCELLED})


class DeadLetterRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which dead letters to act on; every condition that is given must hold. Without any, all of them."""

    job_ids: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MAX_LIMIT)] | None = None
    job_type: str | None = None
    reason: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = 100
    dry_run: bool = False

    def conditions(self) -> dict[str, Any]:
        """The conditions in few words."""
        given = {"job_ids": self.job_ids and len(self.job_ids), "job_type": self.job_type, "reason": self.reason}
        return {name: value for name, value in given.items() if value is not None}

    def matches(self, letter: DeadLetter) -> bool:
        """Whether a dead letter meets all the conditions."""
        return (
            (self.job_ids is None or letter.job_id in self.job_ids)
            and (self.job_type is None or letter.job_type == self.job_type)
            and (self.reason is None or letter.reason == self.reason)
        )


class DeadLetterReport(msgspec.Struct, frozen=True):
    """What matched and what was done. `more` says that the call stopped at its limit: make it again to go on.

    `skipped` letters were left where they are (their body cannot be read); `stale` ones belonged to a job that has been
    run again since, or is gone, and were only removed.
    """

    dry_run: bool
    matched: int
    done: int
    stale: int
    skipped: int
    more: bool
    job_ids: list[str]


async def retry_job(services: Services, job_id: str) -> Job:
    """Start a new run of a failed or cancelled job.

    Raises JobNotFoundError, NotRetryableError and UnavailableError; nothing has changed then.
    """
    if not is_job_id(job_id):
        raise JobNotFoundError(f"{job_id!r} is not a job id.")
    try:
        return await _run_again(services, await _ended(services, job_id))
    except PreconditionFailedError as exc:
        raise NotRetryableError("The job has just been changed by somebody else; look at it again.") from exc
    except TransientError as exc:
        raise UnavailableError(f"The job was not started again: {exc}") from exc


async def list_dead_letters(services: Services, limit: int) -> list[DeadLetter]:
    """The oldest dead letters. Raises UnavailableError."""
    try:
        return await services.dead_letters.browse(limit)
    except TransientError as exc:
        raise UnavailableError(f"The dead letters could not be read: {exc}") from exc


async def replay_dead_letters(services: Services, body: Any, by: str) -> DeadLetterReport:
    """Start a new run of each dead letter's job, then remove the letter.

    A crash in between leaves the letter, and the next call finds its job in a newer run: it is stale then. Raises
    InvalidRequestError and UnavailableError.
    """
    return await _act(services, convert(body, DeadLetterRequest), _Replay(services), by)


async def purge_dead_letters(services: Services, body: Any, by: str) -> DeadLetterReport:
    """Remove dead letters for good; their jobs stay as they are. Raises InvalidRequestError and UnavailableError."""
    return await _act(services, convert(body, DeadLetterRequest), _Purge(), by)


class _Purge:
    action = "dead_letters.purge"
    started: frozenset[str] = frozenset()

    async def __call__(self, letter: DeadLetter) -> str:
        logger.info("dead letter %s of job %s: purged", letter.message_id, letter.job_id)
        return "done"


class _Replay:
    action = "dead_letters.replay"

    def __init__(self, services: Services) -> None:
        self._services = services
        #: Jobs that run again by this call: where one dies again at once, its new letter is for the next call.
        self.started: set[str] = set()

    async def __call__(self, letter: DeadLetter) -> str:
        """`done`, `stale` or `skipped`; the letter is removed unless it was skipped."""
        if letter.message is None:
            return "skipped"
        job = letter.message.job
        try:
            found = await _ended(self._services, job.job_id, fallback=job)
        except NotRetryableError:
            return "stale"
        if found.job.run > job.run:
            return "stale"
        try:
            await _run_again(self._services, found)
        except PreconditionFailedError:
            return "skipped"  # it moves under our hands: the next call sees where to
        self.started.add(job.job_id)
        return "done"


async def _act(services: Services, request: DeadLetterRequest, act: _Replay | _Purge, by: str) -> DeadLetterReport:
    if request.dry_run:
        return await _would_touch(services, request)
    counts = {"done": 0, "stale": 0, "skipped": 0}
    touched: list[str] = []

    async def handle(letter: DeadLetter) -> bool:
        outcome = await act(letter)
        counts[outcome] += 1
        if letter.job_id is not None:
            touched.append(letter.job_id)
        return outcome != "skipped"

    def wanted(letter: DeadLetter) -> bool:
        return request.matches(letter) and letter.job_id not in act.started

    more = True
    try:
        more = await services.dead_letters.take(wanted, handle, request.limit)
    except TransientError as exc:
        raise UnavailableError(f"Stopped after {counts['done']} dead letters; call again to go on: {exc}") from exc
    finally:
        details = {**request.conditions(), **counts, "more": more}
        await audit(services, by=by, action=act.action, target="dead", details=details)
    return DeadLetterReport(dry_run=False, matched=sum(counts.values()), more=more, job_ids=touched, **counts)


async def _would_touch(services: Services, request: DeadLetterRequest) -> DeadLetterReport:
    matching = [each for each in await list_dead_letters(services, MAX_LIMIT) if request.matches(each)]
    job_ids = [each.job_id for each in matching[: request.limit] if each.job_id is not None]
    more = len(matching) > request.limit
    return DeadLetterReport(dry_run=True, matched=len(matching), done=0, stale=0, skipped=0, more=more, job_ids=job_ids)


async def _ended(services: Services, job_id: str, fallback: Job | None = None) -> VersionedJob:
    """The row of an ended job, restored when it has expired. Raises JobNotFoundError and NotRetryableError."""
    found = await services.status.get(TENANT, job_id)
    if found is None:
        document = await services.results.get(TENANT, job_id)
        job = document.job if document is not None else fallback
        if job is None:
            raise JobNotFoundError(f"No job has the id {job_id}, or it has expired.")
        try:
            found = VersionedJob(job, await services.status.insert(job))
        except ConflictError as exc:
            raise PreconditionFailedError(job_id) from exc
    if found.job.state not in RETRYABLE:
        raise NotRetryableError(
            f"The job is {found.job.state}; only failed and cancelled jobs are started again.",
            details={"state": str(found.job.state)},
        )
    return found


async def _run_again(services: Services, ended: VersionedJob) -> Job:
    now = services.clock()
    job = change(
        ended.job,
        JobState.QUEUED,
        run=ended.job.run + 1,
        attempt=0,
        fence=ended.job.fence + 1,
        owner=services.instance_id,
        progress=0,
        message="Started again",
        error=None,
        run_at=now,
        updated_at=now,
        started_at=None,
        finished_at=None,
        cancel_requested=False,
    )
    etag = await services.status.update(ended.job, job, ended.etag)
    message = message_for(job, 1, etag)
    try:
        await services.queue.send([Outgoing(message, message_id(job.job_id, job.run, 1))])
    except TransientError as exc:
        if not exc.unknown_outcome:
            await services.status.update(job, ended.job, etag)
            raise
        services.metrics.submitted(job)
        raise
    services.notifier.publish(job)
    services.metrics.submitted(job)
    return job
