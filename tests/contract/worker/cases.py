"""Tiny apps that the worker takes or refuses."""

from __future__ import annotations

PREAMBLE = """\
import asyncio, functools, typing
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""

_QUEUE = '@app.service_bus_queue_trigger(arg_name="m", queue_name="q", connection="SB"'
_BATCH = f'{_QUEUE}, cardinality="many")\n'
_OUT = '@app.generic_output_binding(arg_name="o", type="signalR", hubName="h")\n'
_IN = '@app.generic_input_binding(arg_name="c", type="signalRConnectionInfo", hubName="h")\n'
_TIMER = '@app.timer_trigger(arg_name="t", schedule="0 * * * * *")\n'

#: Name: source after the preamble. All of these fail to index, in the worker and here.
REFUSED = {
    "list of messages, built-in generic": f"{_BATCH}async def f(m: list[func.ServiceBusMessage]): pass",
    "union return": '@app.route("f")\nasync def f(req: func.HttpRequest) -> func.HttpResponse | None: pass',
    "optional return": '@app.route("f")\nasync def f(req: func.HttpRequest) -> typing.Optional[str]: pass',
    "dict return": '@app.route("f")\nasync def f(req: func.HttpRequest) -> dict: pass',
    "None return": '@app.route("f")\nasync def f(req: func.HttpRequest) -> None: pass',
    "request annotated int": '@app.route("f")\nasync def f(req: int): pass',
    "message annotated dict": f"{_QUEUE})\nasync def f(m: dict): pass",
    "timer annotated str list": f"{_TIMER}async def f(t: typing.List[str]): pass",
    "extra parameter": '@app.route("f")\nasync def f(req: func.HttpRequest, z): pass',
    "extra parameter with default": '@app.route("f")\nasync def f(req: func.HttpRequest, z=1): pass',
    "missing parameter": '@app.route("f")\nasync def f(): pass',
    "context annotated dict": '@app.route("f")\nasync def f(req: func.HttpRequest, context: dict): pass',
    "context annotated text": '@app.route("f")\nasync def f(req: func.HttpRequest, context: "typing.Any"): pass',
    "Out without type": f'@app.route("f")\n{_OUT}async def f(req: func.HttpRequest, o: func.Out): pass',
    "Out[int]": f'@app.route("f")\n{_OUT}async def f(req: func.HttpRequest, o: func.Out[int]): pass',
    "Out[List[str]]": f'@app.route("f")\n{_OUT}async def f(req: func.HttpRequest, o: func.Out[typing.List[str]]): pass',
    "output not annotated Out": f'@app.route("f")\n{_OUT}async def f(req: func.HttpRequest, o: str): pass',
    "input annotated Out": '@app.route("f")\nasync def f(req: func.Out[func.HttpRequest]): pass',
    "connection info annotated dict": f'@app.route("f")\n{_IN}async def f(req: func.HttpRequest, c: dict): pass',
    "partial": 'async def g(req, z): pass\nfoo = functools.partial(g, z=1)\nfoo.__name__ = "foo"\napp.route("f")(foo)',
    "two names alike": (
        '@app.route("f")\nasync def f(req: func.HttpRequest): pass\n'
        '@app.route("g")\n@app.function_name("f")\nasync def g(req: func.HttpRequest): pass'
    ),
    "two apps": 'other = func.FunctionApp()\n@app.route("f")\nasync def f(req: func.HttpRequest): pass',
    "only a blueprint": "app = None\nblueprint = func.Blueprint()",
    "import error": "import no_such_module_anywhere",
    "syntax error": "def f(:",
    "error while importing": "1 / 0",
    "unknown name in annotation": '@app.route("f")\nasync def f(req: "NoSuchType"): pass',
    "no trigger": '@app.function_name("f")\nasync def f(): pass',
    "two triggers": f'@app.route("f")\n{_TIMER}async def f(req: func.HttpRequest, t: func.TimerRequest): pass',
}

#: All of these are indexed, by the worker and here.
ACCEPTED = {
    "no functions": "",
    "list of messages, typing": f"{_BATCH}async def f(m: typing.List[func.ServiceBusMessage]): pass",
    "message annotated str": f"{_QUEUE})\nasync def f(m: str): pass",
    "message annotated bytes": f"{_QUEUE})\nasync def f(m: bytes): pass",
    "message not annotated": f"{_QUEUE})\nasync def f(m): pass",
    "message returning None": f"{_QUEUE})\nasync def f(m: func.ServiceBusMessage) -> None: pass",
    "message returning a union": f"{_QUEUE})\nasync def f(m: func.ServiceBusMessage) -> int | None: pass",
    "request not annotated": '@app.route("f")\nasync def f(req): pass',
    "request annotated str": '@app.route("f")\nasync def f(req: str): pass',
    "str return": '@app.route("f")\nasync def f(req: func.HttpRequest) -> str: pass',
    "context": '@app.route("f")\nasync def f(req: func.HttpRequest, context: func.Context): pass',
    "context not annotated": '@app.route("f")\nasync def f(req: func.HttpRequest, context): pass',
    "keyword-only context": '@app.route("f")\nasync def f(req: func.HttpRequest, *, context: func.Context): pass',
    "wrapped": (
        "def wrap(fn):\n    @functools.wraps(fn)\n    async def w(*a, **k): return await fn(*a, **k)\n    return w\n"
        '@app.route("f")\n@wrap\nasync def f(req: func.HttpRequest): pass'
    ),
    "blueprint": (
        'bp = func.Blueprint()\n@bp.route("f")\nasync def f(req: func.HttpRequest): pass\napp.register_functions(bp)'
    ),
    "Out[str]": f'@app.route("f")\n{_OUT}async def f(req: func.HttpRequest, o: func.Out[str]): pass',
    "output not annotated": f'@app.route("f")\n{_OUT}async def f(req: func.HttpRequest, o): pass',
    "Out[HttpResponse]": '@app.route("f", binding_arg_name="o")\ndef f(req, o: func.Out[func.HttpResponse]): pass',
    "connection info annotated str": f'@app.route("f")\n{_IN}async def f(req: func.HttpRequest, c: str): pass',
    "connection info not annotated": f'@app.route("f")\n{_IN}async def f(req: func.HttpRequest, c): pass',
    "timer": f"{_TIMER}def f(t: func.TimerRequest) -> None: pass",
    "retry": (
        f'{_TIMER}@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")\n'
        "def f(t: func.TimerRequest): pass"
    ),
    "unknown trigger": '@app.generic_trigger(arg_name="t", type="blobby", path="x")\nasync def f(t): pass',
}
