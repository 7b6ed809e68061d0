"""Reading jobs: one, its result, a page of many, and waiting for a change."""

from __future__ import annotations

import asyncio
import base64

import msgspec

from shared.errors import (
    InvalidRequestError,
    JobNotFoundError,
    NotFinishedError,
    ResultExpiredError,
    UnavailableError,
)
from shared.jobs.ids import hour_of, is_job_id
from shared.jobs.model import Job
from shared.jobs.states import TERMINAL
from shared.service.ports import JobFilter, Services, TransientError
from shared.service.submit import TENANT
from shared.service.view import DetailsView, JobView, ResultView, details_view, job_view, result_view, view_etag

#: Between two looks at a job that somebody waits for, in seconds: short at first, for most jobs are.
FIRST_LOOK = 0.05
SLOWEST_LOOK = 1.0


class JobAnswer(msgspec.Struct, frozen=True):
    """A job as the API answers it."""

    view: JobView
    etag: str
    finished: bool


class Page(msgspec.Struct, frozen=True):
    """Part of a listing; `next_page_token` is None at its end."""

    jobs: list[JobView]
    next_page_token: str | None


async def get_job(services: Services, job_id: str, wait: float = 0, known: frozenset[str] = frozenset()) -> JobAnswer:
    """The job, at once or, with `wait`, once its ETag is none of `known` (else another than now) or `wait` s passed.

    Raises JobNotFoundError and UnavailableError.
    """
    answer = await _look(services, job_id)
    before = known or {answer.etag}
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    pause = FIRST_LOOK
    while not answer.finished and answer.etag in before and (left := deadline - loop.time()) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, SLOWEST_LOOK)
        answer = await _look(services, job_id)
    return answer


async def _look(services: Services, job_id: str) -> JobAnswer:
    view = job_view(await _find(services, job_id))
    return JobAnswer(view, view_etag(view), view.state in TERMINAL)


async def _find(services: Services, job_id: str) -> Job:
    """The job from its row or, where that has expired or was lost, from its result document."""
    if not is_job_id(job_id):
        raise JobNotFoundError(f"{job_id!r} is not a job id; a job id looks like 0190f5c1-7d2e-7abc-8def-0123456789ab.")
    try:
        found = await services.status.get(TENANT, job_id)
        if found is not None:
            return found.job
        document = await services.results.get(TENANT, job_id)
    except TransientError as exc:
        raise UnavailableError(f"The job could not be read: {exc}") from exc
    if document is None:
        raise JobNotFoundError(f"No job has the id {job_id}, or it has expired.")
    return document.job


async def get_details(services: Services, job_id: str) -> DetailsView:
    """The job with its payload and history, whatever its state. Raises JobNotFoundError and UnavailableError."""
    return details_view(await _find(services, job_id))


async def get_result(services: Services, job_id: str) -> ResultView:
    """How the job ended. Raises JobNotFoundError, NotFinishedError, ResultExpiredError and UnavailableError."""
    job = await _find(services, job_id)
    if job.state not in TERMINAL:
        raise NotFinishedError(
            f"The job is {job.state}. Ask again later, or wait for it with GET /jobs/{job_id}?wait=30.",
        )
    try:
        document = await services.results.get(TENANT, job_id)
    except TransientError as exc:
        raise UnavailableError(f"The result could not be read: {exc}") from exc
    if document is None:
        raise ResultExpiredError(
            f"The job is {job.state}, but its result is no longer kept (results are kept "
            f"{services.settings.result_ttl_days} days)."
        )
    return result_view(document)


async def list_jobs(services: Services, wanted: JobFilter, limit: int, page_token: str | None) -> Page:
    """A page of jobs, newest first. Raises InvalidRequestError for a bad token and UnavailableError."""
    after = _job_id_of_token(page_token) if page_token is not None else None
    try:
        jobs = await _collect(services, wanted, limit + 1, after)
    except TransientError as exc:
        raise UnavailableError(f"The jobs could not be listed: {exc}") from exc
    more = len(jobs) > limit
    jobs = jobs[:limit]
    return Page([job_view(job) for job in jobs], _token_of_job_id(jobs[-1].job_id) if more else None)


async def _collect(services: Services, wanted: JobFilter, count: int, after: str | None) -> list[Job]:
    jobs: list[Job] = []
    for hour in await services.status.hours(TENANT, before=hour_of(after) if after else None):
        jobs += await services.status.page(TENANT, hour, wanted, count - len(jobs), after)
        if len(jobs) >= count:
            break
    return jobs


def _token_of_job_id(job_id: str) -> str:
    return base64.urlsafe_b64encode(job_id.encode()).decode().rstrip("=")


def _job_id_of_token(token: str) -> str:
    try:
        job_id = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        job_id = ""
    if not is_job_id(job_id):
        raise InvalidRequestError(
            "The page_token is not one that this API gave out.",
            errors=[("page_token", "use next_page_token of the page before, unchanged")],
        )
    return job_id
