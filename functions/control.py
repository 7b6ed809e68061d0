"""`/api/v1/queues/...` and `/api/v1/job-types/...`: hold, let go, clear."""

from __future__ import annotations

import azure.functions as func

from functions.http import caller, endpoint, json_body, json_response, optional_json_body, query
from shared.composition import services
from shared.service.pause import pause_job_type, pause_queue, resume_job_type, resume_queue
from shared.service.purge import purge_queue

blueprint = func.Blueprint()

MAX_BODY = 4 * 1024


@blueprint.function_name("queues_pause")
@blueprint.route("v1/queues/{priority}/pause", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def queues_pause(req: func.HttpRequest) -> func.HttpResponse:
    """POST /queues/{priority}/pause"""
    query(req, ())
    body = optional_json_body(req, MAX_BODY)
    return json_response(await pause_queue(services(), req.route_params["priority"], body, caller(req)))


@blueprint.function_name("queues_resume")
@blueprint.route("v1/queues/{priority}/resume", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def queues_resume(req: func.HttpRequest) -> func.HttpResponse:
    """POST /queues/{priority}/resume"""
    query(req, ())
    return json_response(await resume_queue(services(), req.route_params["priority"], caller(req)))


@blueprint.function_name("queues_purge")
@blueprint.route("v1/queues/{priority}/purge", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def queues_purge(req: func.HttpRequest) -> func.HttpResponse:
    """POST /queues/{priority}/purge"""
    query(req, ())
    body = json_body(req, MAX_BODY)
    return json_response(await purge_queue(services(), req.route_params["priority"], body, caller(req)))


@blueprint.function_name("job_types_pause")
@blueprint.route("v1/job-types/{name}/pause", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def job_types_pause(req: func.HttpRequest) -> func.HttpResponse:
    """POST /job-types/{name}/pause"""
    query(req, ())
    body = optional_json_body(req, MAX_BODY)
    return json_response(await pause_job_type(services(), req.route_params["name"], body, caller(req)))


@blueprint.function_name("job_types_resume")
@blueprint.route("v1/job-types/{name}/resume", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def job_types_resume(req: func.HttpRequest) -> func.HttpResponse:
    """POST /job-types/{name}/resume"""
    query(req, ())
    return json_response(await resume_job_type(services(), req.route_params["name"], caller(req)))
