"""What every HTTP function shares: reading a request strictly, answering in JSON, and errors as problem documents."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextvars import ContextVar
from typing import Any

import azure.functions as func
import msgspec

from shared.composition import telemetry
from shared.errors import (
    DtqError,
    InvalidJsonError,
    InvalidRequestError,
    PayloadTooLargeError,
    UnsupportedMediaTypeError,
    did_you_mean,
)
from shared.service.submit import Trace
from shared.service.tracing import NoTelemetry, Span, parse_traceparent, request

logger = logging.getLogger(__name__)

JSON = "application/json"
PROBLEM = "application/problem+json"

#: Of a job id that a caller made up, so much is told.
_LONGEST_ID = 64
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
#: Longest name of a caller that is kept, in characters.
MAX_CALLER = 200
#: Query parameters that are the host's, not ours.
_HOST_PARAMETERS = frozenset({"code", "clientid"})
#: Called every few seconds by machines: their requests would be most of the telemetry and say nothing.
_PROBES = frozenset({"healthz", "readyz", "metrics"})

_trace: ContextVar[Trace] = ContextVar("trace")

Endpoint = Callable[[func.HttpRequest], Awaitable[func.HttpResponse]]


def endpoint(function: Endpoint) -> Endpoint:
    """Answer every error as a problem document (RFC 9457) and put the trace id on every answer."""

    @functools.wraps(function)
    async def answered(req: func.HttpRequest) -> func.HttpResponse:
        traceparent = req.headers.get("traceparent", "")
        told = NoTelemetry() if function.__name__ in _PROBES else telemetry()
        with request(told, function.__name__, traceparent) as span:
            trace = _trace_of(req, span)
            _trace.set(trace)
            response = await _answer(function, req, trace)
            span.end(str(response.status_code), success=response.status_code < 500)
        response.headers["x-trace-id"] = trace.trace_id
        if parse_traceparent(traceparent):
            response.headers["traceparent"] = traceparent
        correlation_id = req.headers.get("x-correlation-id", "")
        if _CORRELATION_ID.fullmatch(correlation_id):
            response.headers["x-correlation-id"] = correlation_id
        return response

    return answered


async def _answer(function: Endpoint, req: func.HttpRequest, trace: Trace) -> func.HttpResponse:
    try:
        return await function(req)
    except DtqError as exc:
        level = logging.WARNING if exc.status >= 500 else logging.INFO
        logger.log(level, "%s %s: %d %s: %s", req.method, _path(req), exc.status, exc.code, exc)
        return _problem_response(exc, trace)
    except Exception:
        logger.exception("%s %s: unforeseen error, trace %s", req.method, _path(req), trace.trace_id)
        return _problem_response(DtqError("The error is in the app's log under this trace_id."), trace)


def current_trace() -> Trace:
    """The trace of the request that is being answered."""
    return _trace.get()


def _trace_of(req: func.HttpRequest, span: Span) -> Trace:
    """The span's, which goes on where the request's traceparent came from; without one the id to search for is the
    request's x-correlation-id."""
    correlation_id = req.headers.get("x-correlation-id", "")
    named = not span.parent_id and _CORRELATION_ID.fullmatch(correlation_id)
    trace = Trace(correlation_id if named else span.trace_id, span.traceparent)
    span.dimensions["trace_id"] = trace.trace_id
    if job_id := req.route_params.get("job_id"):
        span.dimensions["job_id"] = job_id[:_LONGEST_ID]
    return trace


def json_response(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> func.HttpResponse:
    """An answer in JSON."""
    return func.HttpResponse(msgspec.json.encode(body), status_code=status, headers=dict(headers or {}), mimetype=JSON)


def problem(exc: DtqError, trace_id: str) -> dict[str, Any]:
    """An error as the members of a problem document."""
    members: dict[str, Any] = {
        "type": f"urn:dtq:error:{exc.code}",
        "title": exc.title,
        "status": exc.status,
        "detail": str(exc),
        "code": exc.code,
        "trace_id": trace_id,
        **exc.details,
    }
    if exc.errors:
        members["errors"] = [{"pointer": pointer, "detail": detail} for pointer, detail in exc.errors]
    return members


def json_body(req: func.HttpRequest, limit: int) -> Any:
    """The decoded body. Raises UnsupportedMediaTypeError, PayloadTooLargeError and InvalidJsonError."""
    media_type = req.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != JSON and not media_type.endswith("+json"):
        given = f"not {media_type}" if media_type else "but no Content-Type was sent"
        raise UnsupportedMediaTypeError(f"The body must be {JSON}, {given}.")
    body = req.get_body()
    if len(body) > limit:
        raise PayloadTooLargeError(f"The body is {len(body):,} bytes long; at most {limit:,} are taken.")
    if not body.strip():
        raise InvalidJsonError("The body is empty; send a JSON object.")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidJsonError(f"The body is not JSON: {exc}.") from exc


def optional_json_body(req: func.HttpRequest, limit: int) -> Any:
    """The decoded body, an empty object where there is none. Raises as `json_body` does."""
    return json_body(req, limit) if req.get_body().strip() else {}


def caller(req: func.HttpRequest) -> str:
    """Who calls, for the audit trail: the user that App Service authentication has let in, else the key's holder."""
    name = str(req.headers.get("x-ms-client-principal-name", "")).strip()
    return name[:MAX_CALLER] if name.isprintable() and name else "function key"


def entity_tags(req: func.HttpRequest) -> frozenset[str]:
    """The entity tags of If-None-Match (RFC 9110, 13.1.2), weak ones as if they were strong."""
    tags = req.headers.get("if-none-match", "").split(",")
    return frozenset(tag.strip().removeprefix("W/") for tag in tags if tag.strip())


def query(req: func.HttpRequest, known: Collection[str]) -> dict[str, str]:
    """The query parameters. Raises InvalidRequestError for one that the call does not have."""
    for name in req.params:
        if name not in known and name not in _HOST_PARAMETERS:
            detail = f"unknown query parameter.{did_you_mean(name, known)} Known: {', '.join(known) or 'none'}."
            raise InvalidRequestError(f"{name}: {detail}", errors=[(name, detail)])
    return {name: value for name, value in req.params.items() if name in known}


def number(parameters: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    """A query parameter as a number. Raises InvalidRequestError outside of low..high."""
    text = parameters.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        detail = f"must be a number from {low:g} to {high:g}, not {text!r}."
        raise InvalidRequestError(f"{name} {detail}", errors=[(name, detail)])
    return value


def whole_number(parameters: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A query parameter as a whole number. Raises InvalidRequestError outside of low..high."""
    value = number(parameters, name, default, low, high)
    if value != int(value):
        raise InvalidRequestError(f"{name} must be a whole number.", errors=[(name, "not a whole number")])
    return int(value)


def choice(parameters: Mapping[str, str], name: str, choices: Collection[str]) -> str | None:
    """A query parameter that is one of `choices`, or None. Raises InvalidRequestError."""
    value = parameters.get(name)
    if value is not None and value not in choices:
        detail = f"{value!r} is not allowed.{did_you_mean(value, choices)} Allowed: {', '.join(choices)}."
        raise InvalidRequestError(f"{name}: {detail}", errors=[(name, detail)])
    return value


def _problem_response(exc: DtqError, trace: Trace) -> func.HttpResponse:
    headers = {"Retry-After": str(exc.retry_after)} if exc.retry_after is not None else {}
    return func.HttpResponse(
        msgspec.json.encode(problem(exc, trace.trace_id)), status_code=exc.status, headers=headers, mimetype=PROBLEM
    )


def _path(req: func.HttpRequest) -> str:
    """The address without its query, which may hold a key."""
    return str(req.url).split("?")[0]
