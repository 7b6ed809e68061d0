"""Running a job: admit it, claim it, call its handler under its timeout, and settle the outcome, result first."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.errors import InvalidRequestError
from shared.jobs.admission import Refusal
from shared.jobs.messages import NEWER_MESSAGE_WAIT, NewerMessageError, UndecodableMessageError, decode_message
from shared.jobs.model import Job, JobError, JobMessage, JobState, Priority, TimelineEntry, VersionedJob
from shared.jobs.outcomes import (
    Cancelled,
    Completed,
    Failed,
    JobCancelled,
    LeaseLost,
    Lost,
    Outcome,
    PermanentError,
    RetryableError,
    Snoozed,
    SnoozeJob,
    failure,
)
from shared.jobs.registry import JobType
from shared.jobs.retry import RetryPolicy
from shared.jobs.states import change, with_attempt
from shared.service.cancel import cancel_waiting
from shared.service.claim import (
    claim,
    finish_written,
    message_for,
    send_copy,
    send_dead_letter,
    send_next,
    write_result,
)
from shared.service.flow import Admission
from shared.service.ports import PreconditionFailedError, Services, TransientError
from shared.service.put_off import put_off
from shared.service.running import RunningJob
from shared.service.tracing import ATTEMPT_SECONDS, WAIT_SECONDS, Span, message_request
from shared.service.validation import convert

logger = logging.getLogger(__name__)

#: Threads beyond the slots: a sync handler that outlives its deadline keeps its thread, but not its slot.
SPARE_THREADS = 48
#: A result may be this long as JSON, in bytes: Cosmos DB takes 2 MB, and the rest of the document needs room.
MAX_RESULT = 1_000_000
#: A job may be put off for so long at a time.
MAX_SNOOZE = timedelta(days=366)
#: When a store or the broker does not answer, the job comes back after about so many seconds.
POSTPONE = timedelta(seconds=10)
#: How often a row is looked at again that others touch.
_TRIES = 5
#: What an attempt may come to that is nobody's failure.
_WELL = frozenset({"completed", "snoozed", "cancelled"})


@functools.cache
def _handler_threads(slots: int) -> ThreadPoolExecutor:
    """The threads of sync handlers; each is started when there is a use for it."""
    return ThreadPoolExecutor(slots + SPARE_THREADS, thread_name_prefix="handler")


async def run_message(
    services: Services, queue: Priority, body: bytes, message_id: str, delivery_count: int = 1
) -> None:
    """Run the attempt that a message of a queue asks for. Returns whatever the handler did; it is done with then.

    Raises only when nothing could be written anywhere, so that the broker delivers the message again, and
    CancelledError when the host stops in the middle: an attempt that has begun is given back first.
    """
    try:
        message = decode_message(body)
    except UndecodableMessageError as exc:
        logger.error("message %s cannot be read and goes to the dead letters: %s", message_id, exc)
        await services.queue.send_dead_raw(body, message_id, "undecodable_message", str(exc))
        return
    except NewerMessageError as exc:
        # As happens for a while in a roll-out; after a step back it waits until the step forward.
        logger.error("message %s is put back for a newer instance: %s", message_id, exc)
        await services.queue.put_back(queue, body, message_id, services.clock() + NEWER_MESSAGE_WAIT)
        return
    try:
        await _admit_and_run(services, message, redelivered=delivery_count > 1)
    except TransientError as exc:
        wait = POSTPONE * (0.5 + services.rng.random())
        logger.warning("job %s: postponed for %.0f s: %s", message.job.job_id, wait.total_seconds(), exc)
        await send_copy(services, message, services.clock() + wait)


async def _admit_and_run(services: Services, message: JobMessage, *, redelivered: bool) -> None:
    admission = await services.flow.admit(message)
    if isinstance(admission, Refusal):
        await put_off(services, message, admission, redelivered=redelivered)
        return
    try:
        with message_request(services.telemetry, "run", message) as span:
            held = await claim(services, message, redelivered=redelivered)
            if held is not None:
                with services.metrics.run(held.job):
                    await _run(services, held, admission, span)
    finally:
        await services.flow.release(admission)


async def _run(services: Services, held: VersionedJob, admission: Admission, span: Span) -> None:
    job = held.job
    services.notifier.publish(job)
    running = RunningJob(services, held)
    if job.cancel_requested:
        outcome: Outcome = Cancelled()
    else:
        running.hold()
        try:
            outcome = await _call(services, running)
        except asyncio.CancelledError:
            await running.release()
            await _give_back(services, running)
            raise
        await running.release()
    if running.job.cancel_requested and not isinstance(outcome, Completed | Lost):
        outcome = Cancelled()
    outcome = await services.flow.report(admission, outcome)
    settled = await _settle(services, running, outcome)
    span.end(settled, success=settled in _WELL)
    if isinstance(outcome, Failed):
        span.dimensions["error_code"] = outcome.error.code
    _measure(services, job, settled)


def _measure(services: Services, job: Job, outcome: str) -> None:
    begun = job.started_at or job.run_at
    priority = str(job.priority)
    services.telemetry.measure(WAIT_SECONDS, max(0.0, (begun - job.run_at).total_seconds()), priority=priority)
    seconds = (services.clock() - begun).total_seconds()
    services.telemetry.measure(ATTEMPT_SECONDS, seconds, job_type=job.job_type, priority=priority, outcome=outcome)


async def _call(services: Services, running: RunningJob) -> Outcome:
    """Call the handler and turn what comes of it into data."""
    job_type = services.registry.get(running.job.job_type)
    if job_type is None:
        # During a roll-out an older instance may get a job type that only newer ones know.
        name = running.job.job_type
        return Failed(JobError("unknown_job_type", f"This instance has no job type {name!r}.", retryable=True))
    timeout = asyncio.timeout(running.job.timeout_seconds)
    try:
        payload = convert(running.job.payload, job_type.payload_type, at="/payload")
        async with timeout:
            value = await _invoke(services, job_type, payload, running)
        return _completed(value)
    except InvalidRequestError as exc:
        return Failed(JobError("invalid_payload", str(exc), retryable=False))
    except SnoozeJob as exc:
        return Snoozed(services.clock() + timedelta(seconds=min(MAX_SNOOZE.total_seconds(), max(0.0, exc.seconds))))
    except JobCancelled:
        return Cancelled()
    except LeaseLost:
        return Lost()
    except Exception as exc:
        if timeout.expired():
            text = f"The attempt exceeded its {running.job.timeout_seconds:g} s."
            return Failed(JobError("timeout", text, retryable=True), timed_out=True)
        outcome = failure(exc)
        if not isinstance(exc, RetryableError | PermanentError):
            logger.exception("job %s: its handler raised %s", running.job_id, outcome.error.message)
        return outcome


async def _invoke(services: Services, job_type: JobType, payload: Any, running: RunningJob) -> Any:
    if job_type.is_async:
        return await job_type.handler(payload, running)
    loop = asyncio.get_running_loop()
    context = contextvars.copy_context()  # the thread's calls and log lines belong to the job's span
    threads = _handler_threads(services.settings.slots)
    return await loop.run_in_executor(threads, context.run, job_type.handler, payload, running)


def _completed(value: Any) -> Outcome:
    try:
        encoded = msgspec.json.encode(msgspec.to_builtins(value, str_keys=True))
    except (TypeError, ValueError) as exc:
        return Failed(JobError("invalid_result", f"The result cannot be stored as JSON: {exc}", retryable=False))
    if len(encoded) > MAX_RESULT:
        text = f"The result is {len(encoded):,} bytes long as JSON; at most {MAX_RESULT:,} are kept."
        return Failed(JobError("result_too_large", text, retryable=False))
    # As JSON has it: a NaN, which is null there, would be refused by Cosmos DB again and again.
    return Completed(msgspec.json.decode(encoded))


async def _settle(services: Services, running: RunningJob, outcome: Outcome) -> str:
    """Write what the outcome means; what it came to, in a word. A stale owner's writes are refused, and it then leaves
    the job alone."""
    job = running.job
    settled = "lost"
    try:
        match outcome:
            case Completed(result):
                settled = "completed"
                await _complete(services, running, result)
            case Failed(error, after, timed_out) if error.retryable and job.attempt < job.max_attempts:
                settled = "retrying"
                await _retry(services, running, _ended(services, job, error, timed_out=timed_out), after)
            case Failed(error, _, timed_out):
                settled = "failed"
                await _fail(services, running, _ended(services, job, error, timed_out=timed_out))
            case Snoozed(until):
                settled = "snoozed"
                await _snooze(services, running, until)
            case Cancelled():
                settled = "cancelled"
                await _cancel(services, running)
            case Lost():
                running.lost = True
    except PreconditionFailedError:
        running.lost = True
        await _finish_ours(services, running)
    if running.lost:
        logger.warning("job %s: another instance has taken it over; this attempt's outcome is dropped", job.job_id)
        return "lost"
    return settled


async def _finish_ours(services: Services, running: RunningJob) -> None:
    """A result of this very claim, or a later one, is there already: the row may still have to say so."""
    for _ in range(_TRIES):
        found = await services.status.get(running.job.tenant, running.job_id)
        if found is None or not running.is_ours(found.job):
            return
        try:
            await finish_written(services, found)
        except PreconditionFailedError:
            continue  # somebody, who asks for its cancelling most likely, has touched the row in between
        return
    logger.warning("job %s: its row kept changing; it is finished when its lease ends", running.job_id)


async def _complete(services: Services, running: RunningJob, result: Any) -> None:
    job = running.job
    now = services.clock()
    ended = change(
        job,
        JobState.COMPLETED,
        progress=100,
        message="Completed",
        timeline=(*job.timeline, TimelineEntry(now, 100, "Completed")),
        attempts=with_attempt(job, now, "completed"),
        updated_at=now,
        finished_at=now,
        lease_until=None,
    )
    await write_result(services, ended, result)
    await _end(services, running, ended)


async def _end(services: Services, running: RunningJob, ended: Job) -> None:
    if await running.write(ended):
        services.notifier.publish(ended)
        services.metrics.settled(ended)


def _ended(services: Services, job: Job, error: JobError, *, timed_out: bool) -> Job:
    """The job with this attempt in its history."""
    now = services.clock()
    attempts = with_attempt(job, now, "timed_out" if timed_out else "failed", error)
    return msgspec.structs.replace(job, attempts=attempts, error=error, updated_at=now)


async def _retry(services: Services, running: RunningJob, job: Job, after: float | None) -> None:
    job_type = services.registry.get(job.job_type)
    policy = job_type.retry if job_type else RetryPolicy()
    wait = policy.wait(job.attempt, services.rng, after)
    waiting = change(
        job,
        JobState.RETRYING,
        run_at=services.clock() + wait,
        lease_until=None,
        message=f"Attempt {job.attempt} failed; the next is in {wait.total_seconds():.1f} s",
    )
    logger.info(
        "job %s: attempt %d failed (%s), next in %.1f s", job.job_id, job.attempt, job.error, wait.total_seconds()
    )
    written = await running.write(waiting)
    if written is not None:
        services.metrics.settled(written.job)
    if written is not None and written.job.cancel_requested:
        await cancel_waiting(services, written)
    elif written is not None:
        services.notifier.publish(written.job)
        await send_next(services, written)


async def _fail(services: Services, running: RunningJob, job: Job) -> None:
    ended = change(job, JobState.FAILED, finished_at=job.updated_at, lease_until=None, message="Failed")
    logger.warning("job %s: failed for good after attempt %d: %s", job.job_id, job.attempt, job.error)
    await write_result(services, ended)
    await send_dead_letter(services, ended)
    await _end(services, running, ended)


async def _cancel(services: Services, running: RunningJob) -> None:
    job = running.job
    now = services.clock()
    ended = change(
        job,
        JobState.CANCELLED,
        attempts=with_attempt(job, now, "cancelled"),
        message="Cancelled",
        updated_at=now,
        finished_at=now,
        lease_until=None,
    )
    await write_result(services, ended)
    await _end(services, running, ended)


async def _snooze(services: Services, running: RunningJob, until: datetime) -> None:
    job = running.job
    message = f"Snoozed until {until:%H:%M:%S} UTC"
    written = await running.write(_waiting_again(services, job, JobState.SCHEDULED, until, message))
    if written is not None and written.job.cancel_requested:
        await cancel_waiting(services, written)
    elif written is not None:
        services.notifier.publish(written.job)
        await send_copy(services, message_for(written.job, job.attempt, written.etag), until)


async def _give_back(services: Services, running: RunningJob) -> None:
    """The host stops in the middle of the attempt. The broker delivers the message again, so the row is all there is
    to write; where even that fails, the lease runs out and the job is taken over."""
    job = running.job
    logger.info("job %s: interrupted, the attempt is given back", job.job_id)
    try:
        written = await running.write(_waiting_again(services, job, JobState.QUEUED, services.clock(), "Interrupted"))
    except TransientError as exc:
        logger.warning("job %s: could not be given back, its lease will run out: %s", job.job_id, exc)
        return
    if written is not None:
        services.notifier.publish(written.job)


def _waiting_again(services: Services, job: Job, state: JobState, run_at: datetime, message: str) -> Job:
    """The job back in line for the same attempt, which is not burnt."""
    return change(
        job,
        state,
        attempt=job.attempt - 1,
        run_at=run_at,
        updated_at=services.clock(),
        lease_until=None,
        message=message,
    )
