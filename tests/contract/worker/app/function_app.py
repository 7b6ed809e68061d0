"""One app that both hosts run: every kind of HTTP answer, and queue functions that write what they saw."""

import functools
import json
import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("echo")
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    content = {
        "method": req.method,
        "path": req.url.split("/", 3)[3],
        "headers": {name: value for name, value in req.headers.items() if name.startswith("x-")},
        "params": dict(req.params),
        "route": dict(req.route_params),
        "body": req.get_body().decode(),
        "form": dict(req.form),
    }
    return func.HttpResponse(json.dumps(content), mimetype="application/json", status_code=201)


@app.route("text")
async def text(req: func.HttpRequest) -> str:
    return "plain é"


@app.route("nothing")
async def nothing(req: func.HttpRequest) -> str:
    return None  # type: ignore[return-value]  # on purpose


@app.route("mapping")
async def mapping(req: func.HttpRequest) -> str:
    return {"a": 1}  # type: ignore[return-value]  # on purpose


@app.route("raw")
async def raw(req: func.HttpRequest) -> str:
    return b"bytes"  # type: ignore[return-value]  # on purpose


@app.route("charset")
async def charset(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("é", mimetype="text/html", charset="latin-1")


@app.route("repeated")
async def repeated(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("x")
    response.headers.add("X-A", "1")
    response.headers.add("X-A", "2")
    return response


@app.route("empty")
async def empty(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=204)


@app.route("bad_json")
async def bad_json(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(req.get_json()))


@app.route("fails")
async def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("no")


@app.route("generator")
def generator(req: func.HttpRequest) -> str:  # type: ignore[misc]  # on purpose
    yield "x"


@app.route("output", binding_arg_name="answer")
def output(req: func.HttpRequest, answer: func.Out[func.HttpResponse]) -> None:
    answer.set(func.HttpResponse("set", status_code=202))


def never_awaited(handler: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(handler)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = handler(*args, **kwargs)
        result.close()
        return result

    return wrapper


@app.route("unawaited")
@never_awaited
async def unawaited(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("x")


def write(name: str, **content: Any) -> None:
    (Path(os.environ["SEEN_FOLDER"]) / name).write_text(json.dumps(content, default=str))


def fields(message: func.ServiceBusMessage) -> dict[str, Any]:
    names = (
        *("content_type", "correlation_id", "delivery_count", "enqueued_sequence_number", "enqueued_time_utc"),
        *("expires_at_utc", "label", "lock_token", "locked_until", "message_id", "partition_key", "reply_to"),
        *("reply_to_session_id", "scheduled_enqueue_time_utc", "sequence_number", "session_id", "subject"),
        *("time_to_live", "to", "application_properties", "user_properties", "metadata"),
    )
    return {"body": message.get_body().decode(), **{name: getattr(message, name) for name in names}}


@app.service_bus_queue_trigger(arg_name="message", queue_name="plain", connection="SB")
async def one(message: func.ServiceBusMessage) -> None:
    write("one", **fields(message))


@app.service_bus_queue_trigger(arg_name="messages", queue_name="batch", connection="SB", cardinality="many")
async def many(messages: typing.List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - the worker refuses list[...]
    write("many", messages=[fields(message) for message in messages])


@app.service_bus_queue_trigger(arg_name="message", queue_name="text", connection="SB")
async def returns(message: func.ServiceBusMessage) -> int:
    return 5
