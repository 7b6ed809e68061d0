"""`/api/v1/queues`, `/workers`, `/stats`, `/audit` and `/api/metrics`: what operators and their tools read."""

from __future__ import annotations

import azure.functions as func

from functions.http import endpoint, json_response, query, whole_number
from shared.composition import monitor

blueprint = func.Blueprint()


@blueprint.function_name("queues_read")
@blueprint.route("v1/queues", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def queues_read(req: func.HttpRequest) -> func.HttpResponse:
    """GET /queues"""
    query(req, ())
    return json_response(await monitor().queues())


@blueprint.function_name("workers_read")
@blueprint.route("v1/workers", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def workers_read(req: func.HttpRequest) -> func.HttpResponse:
    """GET /workers"""
    query(req, ())
    return json_response(await monitor().workers())


@blueprint.function_name("stats_read")
@blueprint.route("v1/stats", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def stats_read(req: func.HttpRequest) -> func.HttpResponse:
    """GET /stats"""
    query(req, ())
    return json_response(await monitor().stats())


@blueprint.function_name("audit_read")
@blueprint.route("v1/audit", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def audit_read(req: func.HttpRequest) -> func.HttpResponse:
    """GET /audit"""
    limit = whole_number(query(req, ("limit",)), "limit", 50, 1, 200)
    return json_response(await monitor().audit(limit))


@blueprint.function_name("metrics_read")
@blueprint.route("metrics", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
@endpoint
async def metrics_read(req: func.HttpRequest) -> func.HttpResponse:
    """GET /api/metrics"""
    from shared.service.exposition import CONTENT_TYPE, exposition  # noqa: PLC0415 - its library is for scrapes alone

    query(req, ())
    text = exposition(await monitor().gauges())
    return func.HttpResponse(text, headers={"Content-Type": CONTENT_TYPE})
