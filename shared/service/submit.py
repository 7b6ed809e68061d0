"""Accepting jobs: validate all of it, write the status row, send the message, and only then promise."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from shared.errors import (
    DtqError,
    IdempotencyConflictError,
    InvalidRequestError,
    PayloadTooLargeError,
    UnavailableError,
    did_you_mean,
)
from shared.jobs.ids import message_id, new_job_id
from shared.jobs.model import Job, JobMessage, JobState, Priority
from shared.jobs.registry import JobType
from shared.jobs.states import WAITING
from shared.service.ports import ConflictError, IdempotencyKey, Outgoing, Services, TransientError
from shared.service.tracing import SUBMITTED
from shared.service.validation import convert, escape

TENANT = "default"
MAX_DELAY = timedelta(days=366)
IDEMPOTENCY_WINDOW = timedelta(hours=24)
MAX_BATCH = 1000

Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class SubmitRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of `POST /jobs`."""

    job_type: str
    payload: dict[str, Any] = {}
    priority: Priority | None = None
    run_at: datetime | None = None
    delay_seconds: Annotated[float, msgspec.Meta(ge=0, le=MAX_DELAY.total_seconds())] | None = None
    max_retries: Annotated[int, msgspec.Meta(ge=0, le=25)] | None = None
    timeout_seconds: Annotated[float, msgspec.Meta(ge=1, le=1700)] | None = None
    tags: Annotated[list[Tag], msgspec.Meta(max_length=20)] = []


class Trace(msgspec.Struct, frozen=True):
    """What ties a request to what follows from it: an id to search for, and the W3C traceparent of its span."""

    trace_id: str
    traceparent: str = ""


class Submitted(msgspec.Struct, frozen=True):
    """A job that was accepted; `created` is false when an Idempotency-Key brought back an earlier one."""

    job: Job
    created: bool


async def submit(services: Services, body: Any, trace: Trace, key: str | None = None) -> Submitted:
    """Accept one job, the decoded body of `POST /jobs`.

    Raises InvalidRequestError, UnknownJobTypeError, PayloadTooLargeError, IdempotencyConflictError,
    QuotaExceededError, and UnavailableError when the job could not be stored or sent; nothing is left behind then.
    """
    job = _new_job(services, body, trace)
    if key is None:
        return Submitted((await _accept(services, [job]))[0], created=True)
    wanted = IdempotencyKey(key, job.job_id, _digest(body), job.created_at + IDEMPOTENCY_WINDOW)
    try:
        held = await services.status.remember_key(TENANT, wanted)
    except TransientError as exc:
        raise UnavailableError(f"The job was not accepted: {exc}") from exc
    if held.digest != wanted.digest:
        raise IdempotencyConflictError(
            f"The Idempotency-Key {key!r} came with another body before, for job {held.job_id}. Use a new key for a "
            "new request."
        )
    if held.job_id == job.job_id:
        return Submitted((await _accept(services, [job]))[0], created=True)
    return await _repeat(services, msgspec.structs.replace(job, job_id=held.job_id))


async def submit_batch(services: Services, body: Any, trace: Trace) -> list[Job | DtqError]:
    """Accept up to 1,000 jobs, the decoded body of `POST /jobs/batch`; for each, in order, the job or its error.

    Raises InvalidRequestError only for a body that is no batch at all.
    """
    requests = _batch_items(body)
    outcomes: list[Job | DtqError | None] = [None] * len(requests)
    accepted: dict[int, Job] = {}
    for index, request in enumerate(requests):
        try:
            accepted[index] = _new_job(services, request, trace)
        except DtqError as exc:
            outcomes[index] = exc
    stored = await _store(services, list(accepted.values()))
    for index, outcome in zip(accepted, stored, strict=True):
        outcomes[index] = outcome
    return [outcome for outcome in outcomes if outcome is not None]


def _batch_items(body: Any) -> list[Any]:
    known = {"jobs"}
    if not isinstance(body, dict) or not isinstance(body.get("jobs"), list):
        raise InvalidRequestError('The body must be {"jobs": [...]}.', errors=[("/jobs", "expected an array of jobs")])
    for name in body.keys() - known:
        detail = f"unknown field {name!r}.{did_you_mean(name, known)}"
        raise InvalidRequestError(f"The batch has an {detail}", errors=[(f"/{escape(name)}", detail)])
    jobs: list[Any] = body["jobs"]
    if not 1 <= len(jobs) <= MAX_BATCH:
        detail = f"expected 1 to {MAX_BATCH} jobs, got {len(jobs)}"
        raise InvalidRequestError(f"A batch holds 1 to {MAX_BATCH} jobs, not {len(jobs)}.", errors=[("/jobs", detail)])
    return jobs


def _new_job(services: Services, body: Any, trace: Trace) -> Job:
    """The job that a request asks for; all that can be wrong with it is found here, before anything is written."""
    request = convert(body, SubmitRequest)
    job_type = services.registry.require(request.job_type)
    convert(request.payload, job_type.payload_type, at="/payload")
    size = len(msgspec.json.encode(request.payload))
    limit = services.settings.max_payload_bytes
    if size > limit:
        raise PayloadTooLargeError(
            f"The payload is {size:,} bytes long; at most {limit:,} are taken. Store the data elsewhere and send its "
            "address.",
            errors=[("/payload", f"{size} bytes, limit {limit}")],
        )
    now = services.clock()
    run_at = _due(request, now)
    retries = job_type.retry.max_retries if request.max_retries is None else request.max_retries
    return Job(
        job_id=new_job_id(now, services.rng),
        trace_id=trace.trace_id,
        tenant=TENANT,
        job_type=job_type.name,
        priority=request.priority or job_type.priority,
        payload=request.payload,
        tags=tuple(request.tags),
        max_attempts=retries + 1,
        timeout_seconds=_timeout(request, job_type),
        traceparent=trace.traceparent,
        created_at=now,
        run_at=run_at,
        state=JobState.SCHEDULED if run_at > now else JobState.QUEUED,
        updated_at=now,
    )


def _timeout(request: SubmitRequest, job_type: JobType) -> float:
    return job_type.timeout_seconds if request.timeout_seconds is None else request.timeout_seconds


def _due(request: SubmitRequest, now: datetime) -> datetime:
    if request.run_at is not None and request.delay_seconds is not None:
        raise InvalidRequestError(
            "Give run_at or delay_seconds, not both.", errors=[("/delay_seconds", "run_at is given too")]
        )
    if request.delay_seconds is not None:
        return now + timedelta(seconds=request.delay_seconds)
    if request.run_at is None:
        return now
    if request.run_at.tzinfo is None:
        raise InvalidRequestError(
            "run_at needs a time zone.", errors=[("/run_at", "no time zone: end it with Z or an offset such as +02:00")]
        )
    if request.run_at > now + MAX_DELAY:
        raise InvalidRequestError(
            f"run_at is more than {MAX_DELAY.days} days ahead.", errors=[("/run_at", "too far ahead")]
        )
    # A time that is over is not converted: one in the year 1 may have no counterpart in UTC.
    return request.run_at.astimezone(now.tzinfo) if request.run_at > now else now


async def _accept(services: Services, jobs: list[Job]) -> list[Job]:
    outcomes = await _store(services, jobs)
    for outcome in outcomes:
        if isinstance(outcome, DtqError):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Job)]


async def _repeat(services: Services, job: Job) -> Submitted:
    """A request whose key is known: the job it stands for.

    The first request may still be on its way, or may have died before it stored the job: then this one stores it.
    """
    try:
        stored = await _stored_already(services, job.job_id)
        document = None if stored else await services.results.get(TENANT, job.job_id)
    except TransientError as exc:
        raise UnavailableError(f"The job could not be read: {exc}") from exc
    if stored is not None:
        return Submitted(stored, created=False)
    if document is not None:
        return Submitted(document.job, created=False)
    return Submitted((await _accept(services, [job]))[0], created=False)


async def _stored_already(services: Services, job_id: str) -> Job | None:
    """The job that somebody else stored, or a call of ours whose answer was lost; its message is sent for certain.

    Whoever stored it may not have sent the message yet, may never do so, and may even remove the row again when the
    broker refuses it: a promise cannot rest on that. Duplicate detection drops a second message, and a message brings
    its row along. Raises TransientError.
    """
    found = await services.status.get(TENANT, job_id)
    if found is None:
        return None
    if found.job.state in WAITING and found.job.fence == 0:
        await services.queue.send([_first_message(found.job, found.etag)])
    return found.job


async def _store(services: Services, jobs: list[Job]) -> list[Job | DtqError]:
    """Store and send as many jobs as the tenant's quota has room for; each job's outcome in order."""
    allowed = await services.quota.reserve(TENANT, len(jobs))
    stored = await _insert_and_send(services, jobs[:allowed])
    return [*stored, *(services.quota.exceeded(TENANT) for _ in jobs[allowed:])]


async def _insert_and_send(services: Services, jobs: list[Job]) -> list[Job | DtqError]:
    """Insert the rows, then send the messages; each job's outcome in order."""
    if len(jobs) == 1:
        etags: Sequence[str | Exception] = [await _insert(services, jobs[0])]
    else:
        etags = await _insert_many(services, jobs)
    rows: list[tuple[Job, str]] = []
    outcomes: dict[str, Job | DtqError] = {}
    for job, etag in zip(jobs, etags, strict=True):
        if isinstance(etag, ConflictError):
            outcomes[job.job_id] = await _after_conflict(services, job)
        elif isinstance(etag, Exception):
            outcomes[job.job_id] = UnavailableError(f"The job was not accepted: {etag}")
        else:
            rows.append((job, etag))
    failed = await _send(services, rows) if rows else None
    for job, _ in rows:
        outcomes[job.job_id] = failed or job
        if failed is None:
            services.notifier.publish(job)
            services.telemetry.measure(SUBMITTED, 1, job_type=job.job_type, priority=str(job.priority))
    return [outcomes[job.job_id] for job in jobs]


async def _after_conflict(services: Services, job: Job) -> Job | DtqError:
    """What became of a job whose row is said to be there: its twin with the same key stored it, or we did ourselves
    by a call whose answer was lost."""
    try:
        stored = await _stored_already(services, job.job_id)
    except TransientError as exc:
        return UnavailableError(f"The job was not accepted: {exc}")
    return stored or UnavailableError("The job was not accepted: its row was there, and went.", retry_after=1)


async def _insert_many(services: Services, jobs: list[Job]) -> Sequence[str | Exception]:
    if not jobs:
        return []
    try:
        return await services.status.insert_many(jobs)
    except TransientError as exc:
        return [exc] * len(jobs)


async def _insert(services: Services, job: Job) -> str | Exception:
    try:
        return await services.status.insert(job)
    except (ConflictError, TransientError) as exc:
        return exc


async def _send(services: Services, rows: list[tuple[Job, str]]) -> UnavailableError | None:
    """Send the messages of stored rows. On a certain failure the rows go again; on an unknown outcome they stay, and
    the janitor settles them, so that the promise to the caller (503, or a job that runs) holds either way."""
    try:
        await services.queue.send([_first_message(job, etag) for job, etag in rows])
    except TransientError as exc:
        if not exc.unknown_outcome:
            await asyncio.gather(*(services.status.delete(job, etag) for job, etag in rows), return_exceptions=True)
        else:
            _count(services, rows)  # for they run, most likely
        return UnavailableError(f"The job was not accepted: {exc}")
    _count(services, rows)
    return None


def _count(services: Services, rows: list[tuple[Job, str]]) -> None:
    for job, _ in rows:
        services.metrics.submitted(job)


def _first_message(job: Job, etag: str) -> Outgoing:
    due = job.run_at if job.state is JobState.SCHEDULED else None
    return Outgoing(JobMessage(job=job, attempt=1, etag=etag), message_id(job.job_id, job.run, 1), due)


def _digest(body: Any) -> str:
    """A digest of a body by its meaning: the order of its members does not matter."""
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
