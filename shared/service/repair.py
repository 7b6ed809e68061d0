"""What the janitor and the poison queue's function mend: jobs whose message or owner is gone, and rows past their time.

Every repair is a conditional write or a message that duplicate detection and the claim make harmless when it was not
needed, so that it may run twice at once and may err on the side of doing too much.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from shared.jobs.messages import NEWER_MESSAGE_WAIT, NewerMessageError, UndecodableMessageError, decode_message
from shared.jobs.model import Job, JobError, JobMessage, JobState, Priority, VersionedJob
from shared.jobs.states import TERMINAL, WAITING, change, with_attempt
from shared.service.claim import (
    MAX_LOST,
    claimed,
    finish_written,
    is_held,
    message_for,
    send_copy,
    send_dead_letter,
    send_next,
    write_result,
)
from shared.service.flow import held_queues
from shared.service.ports import PreconditionFailedError, Services, TransientError
from shared.service.submit import TENANT
from shared.service.tracing import ATTEMPT_SECONDS, OLDEST_SECONDS, message_request

logger = logging.getLogger(__name__)

#: How long a waiting job may be overdue, or a lease over, before somebody looks after it: the broker, the owner and
#: a rival that comes back after the lease all get their chance first.
GRACE = timedelta(seconds=30)
#: The broker's reason for a message that was delivered too often.
EXHAUSTED = "MaxDeliveryCountExceeded"
#: How long after a failed burial, or a message's return into its queue, it comes back, about.
BURY_AGAIN = timedelta(seconds=20)


class Repaired(msgspec.Struct, frozen=True):
    """What one round of the janitor did."""

    resent: int = 0
    taken_over: int = 0
    expired: int = 0


async def repair(services: Services) -> Repaired:
    """One round: send lost messages again, hand on jobs of dead owners, remove rows past their time.

    Raises TransientError when a service does not answer; the next round begins anew.
    """
    now = services.clock()
    resent = taken_over = expired = 0
    oldest = await services.queue.oldest_waiting(held_queues(await services.flow.state.read()))
    _measure(services, oldest, now)
    for hour in await services.status.hours(TENANT):
        for found in await services.status.unfinished(TENANT, hour):
            if not _message_is_lost(found.job, oldest, now):
                continue
            if found.job.state is JobState.RUNNING:
                taken_over += await _hand_on(services, found, now)
            else:
                resent += await _send_again(services, found, now)
        finished_before = now - timedelta(hours=services.settings.status_ttl_hours)
        expired += await services.status.expire(TENANT, hour, finished_before)
    return Repaired(resent, taken_over, expired)


def _measure(services: Services, oldest: Mapping[Priority, datetime | None], now: datetime) -> None:
    for priority, since in oldest.items():
        if since is not None and since.year == 1:
            continue  # the queue cannot be looked into
        waited = max(0.0, (now - since).total_seconds()) if since else 0.0
        services.telemetry.measure(OLDEST_SECONDS, waited, priority=str(priority))


def _message_is_lost(job: Job, oldest: Mapping[Priority, datetime | None], now: datetime) -> bool:
    """A job that is overdue, or whose lease is over, while its queue holds nothing as old, has no message any more."""
    due = max(job.run_at, job.updated_at, job.lease_until or job.run_at)
    if due > now - GRACE:
        return False
    oldest_waiting = oldest[job.priority]
    return oldest_waiting is None or due + GRACE < oldest_waiting


async def _send_again(services: Services, found: VersionedJob, now: datetime) -> int:
    """Send a waiting job's next attempt. The row is touched first, so that the next round sees it was looked after."""
    job = msgspec.structs.replace(found.job, updated_at=now)
    try:
        if await finish_written(services, found):
            return 1
        etag = await services.status.update(found.job, job, found.etag)
    except PreconditionFailedError:
        return 0  # it moves: its message was not lost
    logger.warning("job %s: %s, but its message is gone; sent again", job.job_id, job.state)
    await send_copy(services, message_for(job, job.attempt + 1, etag), now)
    return 1


async def _hand_on(services: Services, found: VersionedJob, now: datetime) -> int:
    """Send the message of a running job whose lease is long over, so that another instance takes it over. The row is
    touched first, as in `_send_again`."""
    job = msgspec.structs.replace(found.job, updated_at=now)
    try:
        if await finish_written(services, found):
            return 1
        await services.status.update(found.job, job, found.etag)
    except PreconditionFailedError:
        return 0  # somebody else is on it
    logger.warning("job %s: the lease of %s is over; handed on", job.job_id, job.owner)
    await send_copy(services, message_for(job, job.attempt), now)
    return 1


async def bury(services: Services, body: bytes, message_id: str, reason: str, description: str) -> None:
    """Settle a message that the broker gave up: its job is failed, and the message goes to the dead letters.

    `reason` and `description` are the broker's. A job that has ended since, or that somebody runs, is left alone; one
    over which fewer than MAX_LOST owners died is put in line again.
    Raises TransientError only when not even the broker answers.
    """
    try:
        message = decode_message(body)
    except UndecodableMessageError as exc:
        await services.queue.send_dead_raw(body, message_id, "undecodable_message", str(exc))
        return
    except NewerMessageError as exc:
        logger.error("dead message %s is put back for a newer instance: %s", message_id, exc)
        await services.queue.put_back(
            None, body, message_id, services.clock() + NEWER_MESSAGE_WAIT, reason, description
        )
        return
    with message_request(services.telemetry, "bury", message) as span:
        try:
            await _bury(services, message, reason, description)
            span.end("settled", success=True)
        except TransientError as exc:
            span.end("postponed", success=False)
            # Abandoned it would come back at once: an outage would use up the deliveries of the last queue too.
            logger.warning("job %s: not buried yet, trying again: %s", message.job.job_id, exc)
            due = services.clock() + BURY_AGAIN * (0.5 + services.rng.random())
            await services.queue.put_back(None, body, message_id, due, reason, description)


async def _bury(services: Services, message: JobMessage, reason: str, description: str) -> None:
    found = await services.status.get(message.job.tenant, message.job.job_id)
    if found is None:
        document = await services.results.get(message.job.tenant, message.job.job_id)
        if document is not None and document.job.run >= message.job.run:
            return
        found = VersionedJob(message.job, await services.status.insert(message.job))
    row = found.job
    superseded = (row.run, row.attempt) > (message.job.run, message.attempt)
    over = row.state in TERMINAL and row.run == message.job.run
    if superseded or over or is_held(row, services.clock()):
        logger.info("job %s: %s; the broker's dead letter is dropped", row.job_id, row.state)
        return
    if row.state in WAITING and (row.run, row.attempt) == (message.job.run, message.attempt):
        # The attempt was settled, only the broker never heard of it. The next one is due, sent already or not.
        await send_next(services, found)
        return
    if row.state in WAITING and row.run == message.job.run and row.fence > message.job.fence:
        # Somebody held the job since this message was sent, and put it back in line in good order (a snooze, a stop).
        again = JobMessage(job=row, attempt=row.attempt + 1, etag=found.etag)
        await send_copy(services, again, max(row.run_at, services.clock()))
        return
    try:
        # An older run's result says nothing of this one; its row is here only where the table has lost the newer.
        if row.run == message.job.run and await finish_written(services, found):
            return
        if reason == EXHAUSTED and _deaths(row, message) < MAX_LOST:
            await _hand_back(services, message, found)
            return
        await _fail_crashed(services, message, found, reason, description)
    except PreconditionFailedError as exc:
        raise TransientError(f"job {row.job_id} changed while it was buried") from exc


def _deaths(row: Job, message: JobMessage) -> int:
    """How many owners of the message's run are known to have died over it."""
    known = row.attempts if row.run == message.job.run else message.job.attempts
    lost = sum(each.outcome == "lost" and each.run == message.job.run for each in known)
    return lost + (row.state is JobState.RUNNING and row.run == message.job.run)


async def _hand_back(services: Services, message: JobMessage, found: VersionedJob) -> None:
    """Put the job in line again: most deliveries of its message ended before anybody claimed it, with an instance that
    died of something else while the message waited there for its turn."""
    again = message
    if found.job.run == message.job.run:
        again = message_for(found.job, message.attempt, found.etag if found.job.state in WAITING else "")
    logger.warning("job %s: its message was given up, but not for what the job did; sent again", found.job.job_id)
    due = services.clock() + BURY_AGAIN * (0.5 + services.rng.random())
    await send_copy(services, again, max(found.job.run_at, due))


async def _fail_crashed(
    services: Services, message: JobMessage, found: VersionedJob, reason: str, description: str
) -> None:
    """Take the job over, then fail it: the claim fences off an owner that wakes up late."""
    now = services.clock()
    expired = reason == "TTLExpiredException"
    error = JobError(
        "message_expired" if expired else "delivery_exhausted",
        "The message waited longer than the queue keeps one." if expired else _crash_text(description),
        retryable=False,
    )
    job = found.job
    if job.run < message.job.run:
        job = msgspec.structs.replace(message.job, fence=job.fence)
    held = claimed(services, job, message.attempt)
    etag = await services.status.update(found.job, held, found.etag)
    failed = change(
        held,
        JobState.FAILED,
        error=error,
        attempts=with_attempt(msgspec.structs.replace(held, started_at=job.started_at), now, "lost", error),
        updated_at=now,
        finished_at=now,
        lease_until=None,
        message="Failed",
    )
    await write_result(services, failed)
    await send_dead_letter(services, failed)
    await services.status.update(held, failed, etag)
    services.notifier.publish(failed)
    services.metrics.settled(failed)
    labels = {"job_type": job.job_type, "priority": str(job.priority), "outcome": "failed"}
    services.telemetry.measure(ATTEMPT_SECONDS, (now - (job.started_at or now)).total_seconds(), **labels)
    logger.error("job %s: failed, the broker gave up on its message: %s", failed.job_id, reason)


def _crash_text(description: str) -> str:
    return f"Every delivery ended without an answer; the handler may crash its process. {description}".strip()
