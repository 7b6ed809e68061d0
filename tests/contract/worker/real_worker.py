"""Runs under CPython 3.13: indexes apps with Microsoft's worker library and makes calls, as its host would.

Reads JSON from stdin: [{"app": folder, "calls": [call, ...]}, ...]; writes a JSON list of
{"error": text} or {"functions": [{"name", "bindings"}], "outcomes": [...]}. A call is
{"function", "http": {method, url, headers, query, route, body}} or {"function", "message": {bodies, metadata}}.
Each app is loaded in a process of its own, forked after the imports: the library keeps one app in module globals.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.functions  # noqa: F401 - imported once here, not in every forked process
import azure_functions_runtime as runtime

sys.path.insert(0, str(Path(__file__).parent))
from protocol import PROTOS, ParameterBinding, StatusResult, TypedData  # type: ignore[import-not-found]

UNTRACED = SimpleNamespace(trace_parent="", trace_state="", attributes={})
FIRST_ATTEMPT = SimpleNamespace(retry_count=0, max_retry_count=0, exception=None)


async def load(app: str) -> list[Any]:
    """The app's function metadata; RuntimeError with the worker's message when it cannot be indexed."""
    sys.path.insert(0, app)
    runtime.start_threadpool_executor()
    init = SimpleNamespace(capabilities={}, function_app_directory=app)
    answer = await runtime.worker_init_request(
        SimpleNamespace(
            request=SimpleNamespace(worker_init_request=init), properties={"host": "127.0.0.1", "protos": PROTOS}
        )
    )
    if answer.result.status != StatusResult.Success:
        raise RuntimeError(answer.result.exception.message)
    metadata = await runtime.functions_metadata_request(SimpleNamespace())
    return list(metadata.function_metadata_results or ())


async def invoke(function: Any, call: dict[str, Any]) -> dict[str, Any]:
    trigger = next(json.loads(raw) for raw in function.raw_bindings if json.loads(raw)["type"].endswith("Trigger"))
    data, metadata = http_data(call["http"]) if "http" in call else message_data(call["message"])
    request = SimpleNamespace(
        invocation_id="00000000-0000-0000-0000-000000000001",
        function_id=function.function_id,
        input_data=[ParameterBinding(name=trigger["name"], data=data)],
        trigger_metadata=metadata,
        trace_context=UNTRACED,
        retry_context=FIRST_ATTEMPT,
    )
    answer = await runtime.invocation_request(SimpleNamespace(request=SimpleNamespace(invocation_request=request)))
    if answer.result.status != StatusResult.Success:
        return {"error": answer.result.exception.message}
    return response(answer)


def http_data(http: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    data = SimpleNamespace(
        method=http["method"],
        url=http["url"],
        headers=http["headers"],
        query=http["query"],
        params=http["route"],
        body=TypedData(bytes=http["body"].encode()),
    )
    return TypedData(http=data), {}


def message_data(message: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    metadata = {
        name: TypedData(string=value) if isinstance(value, str) else TypedData(json=json.dumps(value))
        for name, value in message["metadata"].items()
    }
    bodies = [body.encode() for body in message["bodies"]]
    if "UserPropertiesArray" in metadata:
        return TypedData(collection_bytes=SimpleNamespace(bytes=bodies)), metadata
    return TypedData(bytes=bodies[0]), metadata


def response(answer: Any) -> dict[str, Any]:
    """What the host would be sent: the returned value, or the output parameter of an HTTP function."""
    outputs = [output.data for output in answer.output_data or ()]
    value = answer.return_value or (outputs[0] if outputs else None)
    if value is None:
        return {"returned": None}
    if value.WhichOneof("data") != "http":
        return {"returned": {value.WhichOneof("data"): str(next(iter(vars(value).values())))}}
    http = value.http
    headers = {name.lower(): text for name, text in http.headers.items()}
    return {"status": http.status_code, "headers": headers, "body": http.body.bytes.decode("latin-1")}


async def examine(case: dict[str, Any]) -> dict[str, Any]:
    try:
        functions = await load(case["app"])
    except RuntimeError as error:
        return {"error": str(error)}
    by_name = {function.name: function for function in functions}
    outcomes = [await invoke(by_name[call["function"]], call) for call in case.get("calls", ())]
    listed = [
        {"name": function.name, "bindings": [json.loads(raw) for raw in function.raw_bindings]}
        for function in functions
    ]
    runtime.stop_threadpool_executor()
    return {"functions": listed, "outcomes": outcomes}


def in_own_process(case: dict[str, Any]) -> dict[str, Any]:
    with tempfile.TemporaryFile("w+") as result:
        child = os.fork()
        if child == 0:
            try:
                os.chdir(case["app"])
                result.write(json.dumps(asyncio.run(examine(case))))
                result.flush()
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        result.seek(0)
        return json.loads(result.read() or '{"error": "the process died"}')  # type: ignore[no-any-return]


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    json.dump([in_own_process(case) for case in json.load(sys.stdin)], sys.stdout)
