"""Who may run a job: the claim on its status row, and what to do when it does not succeed at once."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

import msgspec

from shared.jobs.ids import message_id
from shared.jobs.model import Attempt, Job, JobError, JobMessage, JobState, ResultDocument, VersionedJob
from shared.jobs.states import TERMINAL, change, stands, with_attempt
from shared.service.ports import ConflictError, Outgoing, PreconditionFailedError, Services

logger = logging.getLogger(__name__)

#: How long after a live lease's end its rival comes back to look.
AFTER_LEASE = timedelta(seconds=1)
#: A longer history, in bytes, does not travel. With it, the longest payload (190 KiB) still fits a message.
MAX_HISTORY = 32 * 1024
#: Owners that may die over one run of a job before it is given up, as the broker gives up after as many deliveries.
MAX_LOST = 5
#: How often a claim is tried while others touch the same row.
_TRIES = 5


async def claim(services: Services, message: JobMessage, *, redelivered: bool = False) -> VersionedJob | None:
    """Take the lease of the message's attempt; None when this message has nothing to run.

    The usual case is one conditional write with the ETag that the message carries. A message that was `redelivered` is
    looked at first: its attempt may have been made, and the ETag fit all the same where the table has lost the traces.
    Raises TransientError.
    """
    if message.etag and not redelivered:
        job = claimed(services, message.job, message.attempt)
        try:
            return VersionedJob(job, await services.status.update(message.job, job, message.etag))
        except PreconditionFailedError:
            logger.debug("job %s: the row has changed since the message was sent", job.job_id)
    for _ in range(_TRIES):
        try:
            found = await services.status.get(message.job.tenant, message.job.job_id)
            if found is None:
                return await _claim_missing(services, message)
            return await _claim_changed(services, message, found)
        except (ConflictError, PreconditionFailedError):
            continue
    await send_copy(services, message, services.clock() + AFTER_LEASE)
    return None


def claimed(services: Services, job: Job, attempt: int) -> Job:
    """The job as it is once this instance holds it for the given attempt."""
    now = services.clock()
    return change(
        job,
        JobState.RUNNING,
        attempt=attempt,
        fence=job.fence + 1,
        owner=services.instance_id,
        lease_until=now + timedelta(seconds=services.settings.lease_seconds),
        started_at=now,
        updated_at=now,
        finished_at=None,
        error=None,
        progress=0,
        message="",
    )


async def _claim_missing(services: Services, message: JobMessage) -> VersionedJob | None:
    """The row is gone: it has expired after the job's end, or the table has lost it. The message can restore it."""
    document = await services.results.get(message.job.tenant, message.job.job_id)
    if document is not None and stands(document.job, message.job):
        logger.info("job %s: already %s, its row is restored", document.job.job_id, document.job.state)
        await services.status.insert(document.job)
        return None
    # The table may have lost claims that the message knows nothing of, but the document of one may be there.
    known_fence = max(message.job.fence, document.job.fence if document else 0)
    job = claimed(services, msgspec.structs.replace(message.job, fence=known_fence), message.attempt)
    return VersionedJob(job, await services.status.insert(job))


async def _claim_changed(services: Services, message: JobMessage, found: VersionedJob) -> VersionedJob | None:
    """The row is not as the message says. Where the row is behind the message, the table has lost writes."""
    row = found.job
    now = services.clock()
    if row.run < message.job.run:
        job = claimed(services, msgspec.structs.replace(message.job, fence=row.fence), message.attempt)
        return VersionedJob(job, await services.status.update(row, job, found.etag))
    if row.run > message.job.run or row.state in TERMINAL:
        logger.info("job %s: %s already, the message is dropped", row.job_id, row.state)
        return None
    if is_held(row, now):
        logger.info("job %s: held by %s, coming back after its lease", row.job_id, row.owner)
        await send_copy(services, message, (row.lease_until or now) + AFTER_LEASE)
        return None
    if await finish_written(services, found):
        return None
    if row.state is JobState.RUNNING:
        return await _take_over(services, message, found)
    if row.attempt >= message.attempt:
        # This attempt is over. Its owner may have died before it sent the next one's message: send it (again).
        await send_next(services, found)
        return None
    if row.state is not JobState.QUEUED and row.run_at > now:  # what is queued is due, whatever the submitter's clock
        await send_copy(services, message, row.run_at)
        return None
    job = claimed(services, row, message.attempt)
    return VersionedJob(job, await services.status.update(row, job, found.etag))


async def _take_over(services: Services, message: JobMessage, found: VersionedJob) -> VersionedJob | None:
    """Claim a running job whose owner's lease has ended."""
    row = found.job
    if row.attempt > message.attempt:
        return None  # a later attempt, which has a message of its own
    attempts = with_lost_attempt(row, services.clock())
    if sum(each.outcome == "lost" and each.run == row.run for each in attempts) > MAX_LOST:
        # Copies start with a fresh delivery count, so the broker alone would not end a loop of crashes.
        await services.queue.send_poison(message, "crash_loop", f"{MAX_LOST} owners of it died.")
        return None
    logger.warning("job %s: taken over from %s, whose lease ended", row.job_id, row.owner)
    job = claimed(services, msgspec.structs.replace(row, attempts=attempts), message.attempt)
    return VersionedJob(job, await services.status.update(row, job, found.etag))


def is_held(row: Job, now: datetime) -> bool:
    """Whether an owner with a live lease runs the job."""
    return row.state is JobState.RUNNING and row.lease_until is not None and row.lease_until > now


def with_lost_attempt(row: Job, now: datetime) -> tuple[Attempt, ...]:
    """The row's history with the attempt that its dead owner never ended."""
    error = JobError("owner_lost", f"{row.owner} stopped renewing its lease.", retryable=True)
    return with_attempt(row, now, "lost", error)


async def finish_written(services: Services, found: VersionedJob) -> bool:
    """Finish the bookkeeping of an owner that wrote the result and no more. False when there is no such result.

    Which one counts is for `shared.jobs.states.stands` to say.
    """
    row = found.job
    document = await services.results.get(row.tenant, row.job_id)
    if document is None or document.job.run != row.run or not stands(document.job, row):
        return False
    if document.job.state is JobState.FAILED:
        await send_dead_letter(services, document.job)
    await services.status.update(row, document.job, found.etag)
    services.notifier.publish(document.job)
    services.metrics.settled(document.job)
    logger.info("job %s: its result was written, the row now says %s too", row.job_id, document.job.state)
    return True


def message_for(job: Job, attempt: int, etag: str = "") -> JobMessage:
    """The message of an attempt. A history that could take it over the broker's limit (256 KiB) stays with the row;
    there is no ETag then, so that the claim reads the row and goes on from all that it holds."""
    if len(msgspec.json.encode((job.attempts, job.timeline))) > MAX_HISTORY:
        return JobMessage(job=msgspec.structs.replace(job, attempts=(), timeline=()), attempt=attempt)
    return JobMessage(job=job, attempt=attempt, etag=etag)


async def send_next(services: Services, waiting: VersionedJob) -> None:
    """Send the message of a waiting job's next attempt, or send it again: duplicate detection drops a second."""
    job = waiting.job
    message = message_for(job, job.attempt + 1, waiting.etag)
    due = job.run_at if job.run_at > services.clock() else None
    await services.queue.send([Outgoing(message, message_id(job.job_id, job.run, message.attempt), due)])


async def send_copy(services: Services, message: JobMessage, due: datetime) -> None:
    """Send the same attempt once more, for `due`, under an id of its own so that duplicate detection lets it pass."""
    job = message.job
    copy = f"{services.rng.getrandbits(48):012x}"
    await services.queue.send([Outgoing(message, message_id(job.job_id, job.run, message.attempt, copy), due)])


async def send_dead_letter(services: Services, job: Job) -> None:
    """Put a failed job where the dead letters are looked at and replayed from."""
    error = job.error or JobError("unknown", "No error was recorded.", retryable=False)
    await services.queue.send_dead(message_for(job, job.attempt), error.code, error.message)


async def write_result(services: Services, job: Job, result: object = None) -> None:
    """Store how a job ended. Raises PreconditionFailedError when a later claim has stored its own."""
    await services.results.put(ResultDocument(job=job, result=result))
