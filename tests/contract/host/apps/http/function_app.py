"""An app that answers with what it was given, for the HTTP suite."""

import asyncio
import http
import json
import logging

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def describe(req: func.HttpRequest, name: str) -> func.HttpResponse:
    content = {
        "function": name,
        "method": req.method,
        "url": req.url,
        "route": dict(req.route_params),
        "params": dict(req.params),
        "headers": dict(req.headers),
        "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(content), mimetype="application/json")


@app.route("echo")
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "echo")


@app.function_name("a_get")
@app.route("jobs/{id}", methods=["GET"])
async def one_job(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "a_get")


@app.function_name("z_batch")
@app.route("jobs/batch", methods=["GET", "POST"])
async def batch(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "z_batch")


@app.route("typed/{number:int:min(10)}", methods=["GET"])
def by_number(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "by_number")


@app.route("typed/{identifier:guid}")
def by_guid(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "by_guid")


@app.route("optional/{first}/{second?}")
def optional(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "optional")


@app.route("files/{*path}")
def files(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "files")


@app.route("Named/Pair/{left}-{right}")
def pair(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "pair")


@app.route("admin/mine")
def reserved(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "reserved")


@app.route("bad/{id:nonsense}")
def bad_constraint(req: func.HttpRequest) -> func.HttpResponse:
    return describe(req, "bad_constraint")


@app.route("text")
def text(req: func.HttpRequest) -> str:
    return "plain é"


@app.route("nothing")
def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None  # type: ignore[return-value]  # on purpose


@app.route("mapping")
def mapping(req: func.HttpRequest) -> func.HttpResponse:
    return {"a": 1}  # type: ignore[return-value]  # on purpose


@app.route("raw")
def raw(req: func.HttpRequest) -> func.HttpResponse:
    return b"bytes"  # type: ignore[return-value]  # on purpose


@app.route("by_output", binding_arg_name="answer")
def by_output(req: func.HttpRequest, answer: func.Out[func.HttpResponse]) -> None:
    answer.set(func.HttpResponse("set", status_code=http.HTTPStatus.ACCEPTED))


@app.route("unset", binding_arg_name="answer")
def unset(req: func.HttpRequest, answer: func.Out[func.HttpResponse]) -> None:
    return None


@app.route("response")
def response(req: func.HttpRequest) -> func.HttpResponse:
    result = func.HttpResponse("é", status_code=207, mimetype="text/html", charset="latin-1")
    result.headers.add("X-Twice", "1")
    result.headers.add("X-Twice", "2")
    result.headers.add("Server", "mine")
    result.headers.add("Content-Length", "999")
    return result


@app.route("status")
def status(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("x", status_code=req.params["code"])


@app.route("cookie")
def cookie(req: func.HttpRequest) -> func.HttpResponse:
    result = func.HttpResponse("x")
    for value in req.params["set"].split("|"):
        result.headers.add("Set-Cookie", value)
    return result


@app.route("raise/{kind}")
async def fail(req: func.HttpRequest) -> func.HttpResponse:
    kinds = {"value": ValueError("no good"), "exit": SystemExit(3), "cancelled": asyncio.CancelledError()}
    raise kinds[req.route_params["kind"]]


@app.route("raise_sync/{kind}")
def fail_sync(req: func.HttpRequest) -> func.HttpResponse:
    raise {"exit": SystemExit(3), "stop": StopIteration()}[req.route_params["kind"]]


@app.route("context")
async def context(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    logging.getLogger("app").info("said inside")
    trace = context.trace_context
    retry = context.retry_context
    content = {
        "invocation_id": context.invocation_id,
        "function_name": context.function_name,
        "function_directory": context.function_directory,
        "traceparent": trace.trace_parent,
        "tracestate": trace.Tracestate,  # type: ignore[attr-defined]  # the worker's older spelling
        "retry": [retry.retry_count, retry.max_retry_count],
    }
    return func.HttpResponse(json.dumps(content))


@app.route("slow")
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(float(req.params["seconds"]))
    logging.getLogger("app").info("slow ended")
    return func.HttpResponse("done")


@app.route("json", methods=["POST"])
def parse(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(req.get_json()))


@app.route("disabled")
def switched_off(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("never")


@app.route("unknown")
@app.generic_output_binding(arg_name="out", type="blobby", path="x")
def unknown_binding(req: func.HttpRequest, out: func.Out[str]) -> str:
    return "never"
