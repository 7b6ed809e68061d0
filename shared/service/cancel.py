"""Cancelling a job: at once while it waits, by request while it runs."""

from __future__ import annotations

import msgspec

from shared.errors import AlreadyFinishedError, JobNotFoundError, UnavailableError
from shared.jobs.ids import is_job_id
from shared.jobs.model import Job, JobState, VersionedJob
from shared.jobs.states import TERMINAL, change
from shared.service.claim import finish_written, write_result
from shared.service.ports import PreconditionFailedError, Services, TransientError
from shared.service.submit import TENANT

_TRIES = 10


async def cancel_job(services: Services, job_id: str, *, only_waiting: bool = False) -> Job:
    """Cancel a job; the answer is `cancelled` when it waited, and still `running` when its owner has to give way.

    With `only_waiting` a running job is not asked to give way.

    The owner of a running job settles it: cancelled at its handler's next progress call, or completed when the result
    was there before. Raises JobNotFoundError, AlreadyFinishedError and UnavailableError.
    """
    if not is_job_id(job_id):
        raise JobNotFoundError(f"{job_id!r} is not a job id.")
    try:
        for earlier_tries in range(_TRIES):
            found = await _find(services, job_id)
            if found.job.state is JobState.CANCELLED and earlier_tries:
                return found.job  # by a try of ours whose second write was refused
            if found.job.state in TERMINAL:
                raise AlreadyFinishedError(
                    f"The job is {found.job.state} already.", details={"state": str(found.job.state)}
                )
            try:
                if found.job.state is JobState.RUNNING:
                    return found.job if only_waiting else await _request(services, found)
                if await finish_written(services, found):
                    continue  # it has ended, and the table had lost that
                return await cancel_waiting(services, found)
            except PreconditionFailedError:
                continue  # it has moved: look again
    except TransientError as exc:
        raise UnavailableError(f"The job was not cancelled: {exc}") from exc
    raise UnavailableError("The job was not cancelled: its state kept changing.", retry_after=1)


async def _find(services: Services, job_id: str) -> VersionedJob:
    found = await services.status.get(TENANT, job_id)
    if found is not None:
        return found
    document = await services.results.get(TENANT, job_id)
    if document is None:
        raise JobNotFoundError(f"No job has the id {job_id}, or it has expired.")
    return VersionedJob(document.job, "")


async def _request(services: Services, found: VersionedJob) -> Job:
    if found.job.cancel_requested:
        return found.job
    asked = msgspec.structs.replace(found.job, cancel_requested=True)
    await services.status.update(found.job, asked, found.etag)
    return asked


async def cancel_waiting(services: Services, waiting: VersionedJob) -> Job:
    """End a job that no instance holds. Its message finds it cancelled when it comes due, and is dropped.

    The end is stored first, as every end is: it stands against whoever claims the job in between, or after the table
    has lost the row's end. Raises PreconditionFailedError when the job has moved on, TransientError when the stores do
    not answer.
    """
    now = services.clock()
    ended = change(
        waiting.job,
        JobState.CANCELLED,
        fence=waiting.job.fence + 1,
        owner=services.instance_id,
        message="Cancelled",
        updated_at=now,
        finished_at=now,
        cancel_requested=True,
    )
    await write_result(services, ended)
    await services.status.update(waiting.job, ended, waiting.etag)
    services.notifier.publish(ended)
    services.metrics.settled(ended)
    return ended
