"""`/api/v1/job-types`: what can be submitted."""

from __future__ import annotations

import azure.functions as func

from functions.http import endpoint, json_response, query
from shared.composition import services
from shared.service.job_types import list_job_types

blueprint = func.Blueprint()


@blueprint.function_name("job_types_list")
@blueprint.route("v1/job-types", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def job_types_list(req: func.HttpRequest) -> func.HttpResponse:
    """GET /job-types"""
    query(req, ())
    return json_response({"job_types": await list_job_types(services())})
