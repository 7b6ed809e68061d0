"""`/api/openapi.json`: the contract of the HTTP API (OpenAPI 3.1), made from the types that the code itself uses."""

from __future__ import annotations

import functools
from typing import Any

import azure.functions as func
import msgspec

from functions.http import PROBLEM, endpoint, json_response, query
from shared import __version__
from shared.composition import registry
from shared.jobs.model import JobState, Priority
from shared.jobs.registry import Registry
from shared.service.job_types import JobTypeView
from shared.service.pause import JobTypePause, PauseRequest, QueuePause
from shared.service.purge import PurgeReport, PurgeRequest
from shared.service.query import Page
from shared.service.queues import QueuesView
from shared.service.replay import DeadLetterReport, DeadLetterRequest
from shared.service.stats import AuditView, StatsView, WorkersView
from shared.service.submit import MAX_BATCH, SubmitRequest
from shared.service.view import API_BASE, DeadLetterView, DetailsView, JobView, ResultView

blueprint = func.Blueprint()

_REF = "#/components/schemas/{name}"

_TYPES = [
    SubmitRequest,
    JobView,
    DetailsView,
    ResultView,
    Page,
    DeadLetterView,
    DeadLetterRequest,
    DeadLetterReport,
    JobTypeView,
    PauseRequest,
    QueuePause,
    JobTypePause,
    PurgeRequest,
    PurgeReport,
    QueuesView,
    WorkersView,
    StatsView,
    AuditView,
]

_PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457 problem document.",
    "required": ["type", "title", "status", "detail", "code", "trace_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable; what a program may rely on."},
        "trace_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


@blueprint.function_name("openapi")
@blueprint.route("openapi.json", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@endpoint
async def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """GET /api/openapi.json"""
    query(req, ())
    return json_response(document(registry()))


@functools.cache
def document(job_types: Registry) -> dict[str, Any]:
    """The whole OpenAPI document."""
    _, components = msgspec.json.schema_components(_TYPES, ref_template=_REF)
    schemas = {**components, "Problem": _PROBLEM_SCHEMA, **_payloads(job_types)}
    # What a request looks like on the wire: the payload of the job type that it names.
    schemas["SubmitRequest"]["properties"]["payload"] = {
        "anyOf": [{"$ref": _REF.format(name=f"payload.{job_type.name}")} for job_type in job_types]
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "DTQ", "version": __version__, "description": "A distributed task queue on Azure Functions."},
        "servers": [{"url": "/"}],
        "security": [{"functionKey": []}, {"functionKeyQuery": []}],
        "paths": _paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"},
                "functionKeyQuery": {"type": "apiKey", "in": "query", "name": "code"},
            },
        },
    }


def _payloads(job_types: Registry) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for job_type in job_types:
        (_,), components = msgspec.json.schema_components(
            [job_type.payload_type], ref_template=_REF.format(name=f"payload.{job_type.name}.{{name}}")
        )
        name = job_type.payload_type.__name__
        schemas[f"payload.{job_type.name}"] = components.pop(name)
        schemas.update({f"payload.{job_type.name}.{inner}": schema for inner, schema in components.items()})
    return schemas


def _paths() -> dict[str, Any]:
    job_id = {"name": "job_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
    request_body = {"required": True, "content": {"application/json": {"schema": _ref("SubmitRequest")}}}
    batch = {
        "type": "object",
        "required": ["jobs"],
        "properties": {"jobs": {"type": "array", "minItems": 1, "maxItems": MAX_BATCH, "items": _ref("SubmitRequest")}},
        "additionalProperties": False,
    }
    row = {
        "type": "object",
        "required": ["index", "status"],
        "properties": {
            "index": {"type": "integer"},
            "status": {"type": "integer"},
            "job": _ref("JobView"),
            "problem": _ref("Problem"),
        },
    }
    outcome = {
        "type": "object",
        "required": ["accepted", "rejected", "results"],
        "properties": {
            "accepted": {"type": "integer"},
            "rejected": {"type": "integer"},
            "results": {"type": "array", "items": row},
        },
    }
    text = {"type": "string"}
    return {
        f"{API_BASE}/jobs": {
            "post": {
                "operationId": "submitJob",
                "summary": "Submit a job",
                "parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {**text, "maxLength": 255}}],
                "requestBody": request_body,
                "responses": {
                    "202": _answer("Accepted: the job will run", _ref("JobView")),
                    "200": _answer("The job that this Idempotency-Key made before", _ref("JobView")),
                    **_problems(400, 401, 409, 413, 415, 422, 429, 503),
                },
            },
            "get": {
                "operationId": "listJobs",
                "summary": "List jobs, newest first",
                "parameters": [
                    _parameter("state", {**text, "enum": list(JobState)}),
                    _parameter("job_type", text),
                    _parameter("priority", {**text, "enum": list(Priority)}),
                    _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
                    _parameter("page_token", text),
                ],
                "responses": {"200": _answer("A page of jobs", _ref("Page")), **_problems(401, 422, 503)},
            },
        },
        f"{API_BASE}/jobs/batch": {
            "post": {
                "operationId": "submitJobs",
                "summary": "Submit up to 1,000 jobs; each is accepted or refused on its own",
                "requestBody": {"required": True, "content": {"application/json": {"schema": batch}}},
                "responses": {"200": _answer("What became of each", outcome), **_problems(400, 401, 413, 415, 422)},
            }
        },
        f"{API_BASE}/jobs/{{job_id}}": {
            "get": {
                "operationId": "getJob",
                "summary": "Read a job, or wait for its next change",
                "parameters": [
                    job_id,
                    _parameter("wait", {"type": "number", "minimum": 0, "maximum": 30, "default": 0}),
                    {"name": "If-None-Match", "in": "header", "schema": text},
                ],
                "responses": {
                    "200": _answer("The job", _ref("JobView")),
                    "304": {"description": "Not changed since the given ETag"},
                    **_problems(401, 404, 422, 503),
                },
            },
            "delete": {
                "operationId": "cancelJob",
                "summary": "Cancel a job",
                "parameters": [job_id],
                "responses": {
                    "200": _answer("Cancelled: it had not begun", _ref("JobView")),
                    "202": _answer("It runs; its handler is asked to give way", _ref("JobView")),
                    **_problems(401, 404, 409, 503),
                },
            },
        },
        f"{API_BASE}/jobs/{{job_id}}/retry": {
            "post": {
                "operationId": "retryJob",
                "summary": "Start a failed or cancelled job again",
                "parameters": [job_id],
                "responses": {"202": _answer("It is queued", _ref("JobView")), **_problems(401, 404, 409, 503)},
            }
        },
        f"{API_BASE}/jobs/{{job_id}}/details": {
            "get": {
                "operationId": "getDetails",
                "summary": "Read a job with its payload, its attempts and what it has reported so far",
                "parameters": [job_id],
                "responses": {"200": _answer("The job", _ref("DetailsView")), **_problems(401, 404, 503)},
            }
        },
        f"{API_BASE}/jobs/{{job_id}}/result": {
            "get": {
                "operationId": "getResult",
                "summary": "Read how a job ended",
                "parameters": [job_id],
                "responses": {"200": _answer("The result", _ref("ResultView")), **_problems(401, 404, 409, 410, 503)},
            }
        },
        f"{API_BASE}/dead-letters": {
            "get": {
                "operationId": "listDeadLetters",
                "summary": "List the oldest dead letters",
                "parameters": [_parameter("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50})],
                "responses": {
                    "200": _answer("The dead letters", _list_of("dead_letters", _ref("DeadLetterView"))),
                    **_problems(401, 422, 503),
                },
            }
        },
        f"{API_BASE}/dead-letters/replay": {"post": _dead_letter_action("replay", "Start jobs of dead letters again")},
        f"{API_BASE}/dead-letters/purge": {"post": _dead_letter_action("purge", "Remove dead letters for good")},
        f"{API_BASE}/job-types": {
            "get": {
                "operationId": "listJobTypes",
                "summary": "List what can be submitted",
                "responses": {
                    "200": _answer("The job types", _list_of("job_types", _ref("JobTypeView"))),
                    **_problems(401),
                },
            }
        },
        **_controls(),
        **_monitoring(),
        f"{API_BASE}/realtime/negotiate": {
            "post": {
                "operationId": "negotiateRealtime",
                "summary": "Where to listen for changes: hub jobs, message jobsChanged",
                "responses": {
                    "200": _answer(
                        "Address and token",
                        {"type": "object", "properties": {"url": text, "accessToken": text}},
                    ),
                    **_problems(401, 503),
                },
            }
        },
        "/api/healthz": {"get": _probe("healthz", "Whether the process answers")},
        "/api/readyz": {"get": _probe("readyz", "Whether the services that a job needs answer")},
    }


def _monitoring() -> dict[str, Any]:
    limit = _parameter("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50})
    text = {"text/plain; version=0.0.4": {"schema": {"type": "string"}}}
    return {
        f"{API_BASE}/queues": {"get": _reading("readQueues", "What the queues hold", "QueuesView")},
        f"{API_BASE}/workers": {"get": _reading("readWorkers", "Which instances take messages", "WorkersView")},
        f"{API_BASE}/stats": {"get": _reading("readStats", "What was counted, and what is open", "StatsView")},
        f"{API_BASE}/audit": {
            "get": {**_reading("readAudit", "Who did what, newest first", "AuditView", 422), "parameters": [limit]}
        },
        "/api/metrics": {
            "get": {
                "operationId": "readMetrics",
                "summary": "Counters, histograms and gauges for Prometheus",
                "responses": {"200": {"description": "The metrics", "content": text}, **_problems(401, 503)},
            }
        },
    }


def _reading(operation_id: str, summary: str, schema: str, *problems: int) -> dict[str, Any]:
    responses = {"200": _answer(summary, _ref(schema)), **_problems(401, *problems, 503)}
    return {"operationId": operation_id, "summary": summary, "responses": responses}


def _controls() -> dict[str, Any]:
    priority = {
        "name": "priority",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": list(Priority)},
    }
    name = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}
    purge = {
        "operationId": "purgeQueue",
        "summary": "Cancel the waiting jobs of a queue",
        "parameters": [priority],
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("PurgeRequest")}}},
        "responses": {
            "200": _answer("What waited and what was cancelled", _ref("PurgeReport")),
            **_problems(400, 401, 404, 413, 415, 422, 503),
        },
    }
    queue, job_type = f"{API_BASE}/queues/{{priority}}", f"{API_BASE}/job-types/{{name}}"
    return {
        f"{queue}/pause": {"post": _pause("pauseQueue", "Hold a queue: nothing of it starts", priority, "QueuePause")},
        f"{queue}/resume": {"post": _resume("resumeQueue", "Let a queue go on", priority, "QueuePause")},
        f"{queue}/purge": {"post": purge},
        f"{job_type}/pause": {"post": _pause("pauseJobType", "Hold the jobs of a type", name, "JobTypePause")},
        f"{job_type}/resume": {"post": _resume("resumeJobType", "Let the jobs of a type go on", name, "JobTypePause")},
    }


def _pause(operation_id: str, summary: str, target: dict[str, Any], answer: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "summary": summary,
        "parameters": [target],
        "requestBody": {"content": {"application/json": {"schema": _ref("PauseRequest")}}},
        "responses": {
            "200": _answer("It is held, by this call or since an earlier one", _ref(answer)),
            **_problems(400, 401, 404, 413, 415, 422, 503),
        },
    }


def _resume(operation_id: str, summary: str, target: dict[str, Any], answer: str) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "summary": summary,
        "parameters": [target],
        "responses": {"200": _answer("It is not held", _ref(answer)), **_problems(401, 404, 422, 503)},
    }


def _dead_letter_action(name: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": f"{name}DeadLetters",
        "summary": summary,
        "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("DeadLetterRequest")}}},
        "responses": {
            "200": _answer("What matched and what was done", _ref("DeadLetterReport")),
            **_problems(400, 401, 413, 415, 422, 503),
        },
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}


def _list_of(name: str, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": item}}}


def _parameter(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problems(*statuses: int) -> dict[str, Any]:
    content = {PROBLEM: {"schema": _ref("Problem")}}
    return {
        # The host answers 401 itself, before the app, and without a body.
        str(status): {"description": _MEANING[status], **({} if status == 401 else {"content": content})}
        for status in statuses
    }


_MEANING = {
    400: "The body is empty or not JSON",
    401: "A function key is missing or wrong",
    404: "No such job, queue or job type",
    409: "The Idempotency-Key belongs to another request, or the job is not in a state for this",
    410: "The result has expired",
    413: "The body or the payload is too large",
    415: "The body is not declared as JSON",
    422: "A field or parameter is wrong, or the job type is unknown",
    429: "The tenant has too many open jobs; Retry-After says when to try again",
    503: "A service does not answer; try again after Retry-After",
}


def _probe(operation_id: str, summary: str) -> dict[str, Any]:
    answers: dict[str, Any] = {"200": {"description": "Yes"}}
    if operation_id == "readyz":
        answers["503"] = {"description": "No; the body says which"}
    return {"operationId": operation_id, "summary": summary, "security": [], "responses": answers}
