"""`/api/v1/job-types`: what can be submitted."""

from __future__ import annotations

import azure.functions as func

from functions.http import endpoint, json_response, query
from shared.composition import registry
from shared.jobs.registry import JobType

blueprint = func.Blueprint()


@blueprint.function_name("job_types_list")
@blueprint.route("v1/job-types", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def job_types_list(req: func.HttpRequest) -> func.HttpResponse:
    """GET /job-types"""
    query(req, ())
    return json_response({"job_types": [_view(job_type) for job_type in registry()]})


def _view(job_type: JobType) -> dict[str, object]:
    return {
        "name": job_type.name,
        "description": job_type.description,
        "payload_schema": job_type.payload_schema(),
        "example": job_type.example,
        "defaults": {
            "priority": job_type.priority,
            "max_retries": job_type.retry.max_retries,
            "timeout_seconds": job_type.timeout_seconds,
        },
    }
