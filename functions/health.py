"""`/api/healthz` and `/api/readyz`: is the process up, and can it do its work."""

from __future__ import annotations

import azure.functions as func

from functions.http import endpoint, json_response, query
from shared.composition import readiness

blueprint = func.Blueprint()


@blueprint.function_name("healthz")
@blueprint.route("healthz", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@endpoint
async def healthz(req: func.HttpRequest) -> func.HttpResponse:
    """GET /api/healthz: 200 while the process answers. Touches no service."""
    query(req, ())
    return json_response({"status": "ok"})


@blueprint.function_name("readyz")
@blueprint.route("readyz", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@endpoint
async def readyz(req: func.HttpRequest) -> func.HttpResponse:
    """GET /api/readyz: 200 when all the services that a job needs answer, else 503; each by name."""
    query(req, ())
    checks = await readiness().check()
    ready = all(state == "ok" for state in checks.values())
    headers = {} if ready else {"Retry-After": "5"}
    return json_response({"status": "ok" if ready else "unavailable", "checks": checks}, 200 if ready else 503, headers)
