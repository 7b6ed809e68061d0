"""`/api/v1/jobs`: submit, read, list, cancel, start again."""

from __future__ import annotations

import azure.functions as func

from functions.http import (
    choice,
    current_trace,
    endpoint,
    entity_tags,
    json_body,
    json_response,
    number,
    problem,
    query,
    whole_number,
)
from shared.composition import registry, services, settings
from shared.errors import DtqError, InvalidRequestError
from shared.jobs.model import Job, JobState, Priority
from shared.service.cancel import cancel_job
from shared.service.ports import JobFilter
from shared.service.query import get_details, get_job, get_result, list_jobs
from shared.service.replay import retry_job
from shared.service.submit import submit, submit_batch
from shared.service.tracing import tag
from shared.service.view import job_view

blueprint = func.Blueprint()

#: What a request needs beside its payload, in bytes.
ENVELOPE = 64 * 1024
MAX_KEY = 255
#: What a client that polls is asked to wait, in seconds.
POLL_AFTER = "1"


@blueprint.function_name("jobs_submit")
@blueprint.route("v1/jobs", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def jobs_submit(req: func.HttpRequest) -> func.HttpResponse:
    """POST /jobs"""
    query(req, ())
    body = json_body(req, settings().max_payload_bytes + ENVELOPE)
    submitted = await submit(services(), body, current_trace(), _idempotency_key(req))
    tag(job_id=submitted.job.job_id)
    view = job_view(submitted.job)
    headers = {"Location": view.links.self}
    return json_response(view, 202 if submitted.created else 200, headers)


@blueprint.function_name("jobs_submit_batch")
@blueprint.route("v1/jobs/batch", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def jobs_submit_batch(req: func.HttpRequest) -> func.HttpResponse:
    """POST /jobs/batch"""
    query(req, ())
    trace = current_trace()
    outcomes = await submit_batch(services(), json_body(req, settings().max_batch_bytes), trace)
    results = [_batch_row(index, outcome, trace.trace_id) for index, outcome in enumerate(outcomes)]
    accepted = sum(isinstance(outcome, Job) for outcome in outcomes)
    return json_response({"accepted": accepted, "rejected": len(outcomes) - accepted, "results": results})


def _batch_row(index: int, outcome: Job | DtqError, trace_id: str) -> dict[str, object]:
    if isinstance(outcome, Job):
        return {"index": index, "status": 202, "job": job_view(outcome)}
    return {"index": index, "status": outcome.status, "problem": problem(outcome, trace_id)}


@blueprint.function_name("jobs_list")
@blueprint.route("v1/jobs", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def jobs_list(req: func.HttpRequest) -> func.HttpResponse:
    """GET /jobs"""
    parameters = query(req, ("state", "job_type", "priority", "limit", "page_token"))
    state = choice(parameters, "state", list(JobState))
    priority = choice(parameters, "priority", list(Priority))
    job_type = parameters.get("job_type")
    if job_type is not None:
        registry().require(job_type)
    wanted = JobFilter(JobState(state) if state else None, job_type, Priority(priority) if priority else None)
    limit = whole_number(parameters, "limit", 50, 1, 200)
    return json_response(await list_jobs(services(), wanted, limit, parameters.get("page_token")))


@blueprint.function_name("jobs_get")
@blueprint.route("v1/jobs/{job_id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def jobs_get(req: func.HttpRequest) -> func.HttpResponse:
    """GET /jobs/{job_id}"""
    parameters = query(req, ("wait",))
    wait = number(parameters, "wait", 0, 0, 30)
    known = entity_tags(req)
    answer = await get_job(services(), req.route_params["job_id"], wait, known)
    headers = {"ETag": answer.etag, "Cache-Control": "no-cache"}
    if not answer.finished:
        headers["Retry-After"] = POLL_AFTER
    if answer.etag in known:
        return func.HttpResponse(status_code=304, headers=headers)
    return json_response(answer.view, headers=headers)


@blueprint.function_name("jobs_details")
@blueprint.route("v1/jobs/{job_id}/details", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def jobs_details(req: func.HttpRequest) -> func.HttpResponse:
    """GET /jobs/{job_id}/details"""
    query(req, ())
    return json_response(await get_details(services(), req.route_params["job_id"]))


@blueprint.function_name("jobs_result")
@blueprint.route("v1/jobs/{job_id}/result", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def jobs_result(req: func.HttpRequest) -> func.HttpResponse:
    """GET /jobs/{job_id}/result"""
    query(req, ())
    return json_response(await get_result(services(), req.route_params["job_id"]))


@blueprint.function_name("jobs_cancel")
@blueprint.route("v1/jobs/{job_id}", methods=["DELETE"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def jobs_cancel(req: func.HttpRequest) -> func.HttpResponse:
    """DELETE /jobs/{job_id}"""
    query(req, ())
    job = await cancel_job(services(), req.route_params["job_id"])
    return json_response(job_view(job), 200 if job.state is JobState.CANCELLED else 202)


@blueprint.function_name("jobs_retry")
@blueprint.route("v1/jobs/{job_id}/retry", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def jobs_retry(req: func.HttpRequest) -> func.HttpResponse:
    """POST /jobs/{job_id}/retry"""
    query(req, ())
    view = job_view(await retry_job(services(), req.route_params["job_id"]))
    return json_response(view, 202, {"Location": view.links.self})


def _idempotency_key(req: func.HttpRequest) -> str | None:
    key: str | None = req.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isprintable()):
        raise InvalidRequestError(
            f"The Idempotency-Key must be 1 to {MAX_KEY} printable characters.",
            errors=[("Idempotency-Key", f"{len(key)} characters")],
        )
    return key
