"""Putting off a job that may not run now: its row says why and until when, and a copy of its message comes then."""

from __future__ import annotations

import msgspec

from shared.jobs.admission import Refusal
from shared.jobs.model import JobMessage, VersionedJob
from shared.jobs.states import TERMINAL, WAITING
from shared.service.claim import message_for, send_copy
from shared.service.ports import PreconditionFailedError, Services

#: How often the row is written while others touch it.
_TRIES = 5


async def put_off(services: Services, message: JobMessage, refusal: Refusal, *, redelivered: bool) -> None:
    """Let the message's attempt wait until the time that the refusal names. The attempt is not burnt.

    The row is written first, so that the janitor sees that the job is looked after; in the usual case that is one
    conditional write. As in a claim, a message that was redelivered is not believed: its copy has no ETag, and whoever
    claims it looks first. Raises TransientError.
    """
    found = VersionedJob(message.job, message.etag) if message.etag and not redelivered else None
    for _ in range(_TRIES):
        found = found or await services.status.get(message.job.tenant, message.job.job_id)
        if found is None:
            break
        row = found.job
        if row.run > message.job.run or (row.run == message.job.run and row.state in TERMINAL):
            return  # a claim would drop the message too
        if row.state not in WAITING or (row.run, row.attempt) != (message.job.run, message.attempt - 1):
            break
        job = msgspec.structs.replace(row, run_at=refusal.until, updated_at=services.clock(), message=refusal.reason)
        try:
            etag = await services.status.update(row, job, found.etag)
        except PreconditionFailedError:
            found = None  # it has changed since
            continue
        services.notifier.publish(job)
        message = message_for(job, message.attempt, "" if redelivered else etag)
        break
    # Where the row is not as the message says, the claim knows what to make of it, once the job is let in.
    await send_copy(services, msgspec.structs.replace(message, returning=refusal.lines_up), refusal.until)
