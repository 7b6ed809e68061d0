"""`python -m local host`: the Functions host alone, on any Python v2 function app. A stand-in for `func start`."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import logging
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from aiohttp import web

from local.host.admin import AdminEndpoints
from local.host.config import ConfigurationError
from local.host.cors import Cors
from local.host.http_server import DEFAULT_BODY_LIMIT, FrontendOptions, HttpFrontend
from local.host.indexing import Function, IndexingError, load_functions
from local.host.keys import KeyStore
from local.host.lifecycle import FunctionsHost
from local.host.logs import LEVELS, configure_logging
from local.host.settings import LocalSettings, apply_local_settings, apply_platform_settings
from local.host.static import StaticFiles
from local.process import announce, run_service

_GROUPS = ("http", "timer", "servicebus")
_LISTED_KEYS = ("route", "methods", "authLevel", "queueName", "schedule", "cardinality")


def main(argv: list[str]) -> int:
    options = _parse(argv)
    configure_logging(options.log_level, options.log_format)
    try:
        local = apply_local_settings(options.app, os.environ)
    except ConfigurationError as error:
        sys.stderr.write(f"local host: {error}\n")
        return 1
    if options.list:
        return _list(options.app)

    async def serve(stop: asyncio.Event) -> None:
        await _serve(options, local, stop)

    try:
        status = run_service(serve)
    except OSError as error:
        sys.stderr.write(f"local host: cannot listen: {error}. Choose another --port, or 0 for a free one.\n")
        return 1
    # An app has no hook to close its SDK clients in, and each would complain at the interpreter's end; a thread that a
    # timed-out function still holds would even keep it from ending. Azure's host ends its workers as shortly.
    sys.stdout.flush()
    logging.shutdown()
    os._exit(status)


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, metavar="DIR", help="folder of function_app.py")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    parser.add_argument("--port", type=int, help="0 picks a free one (default: LocalHttpPort, else 7071)")
    parser.add_argument(
        "--group", action="append", default=[], type=_group, help="serve only http, timer, servicebus or function:NAME"
    )
    parser.add_argument("--list", action="store_true", help="print the app's functions as JSON and exit")
    parser.add_argument("--static", type=Path, metavar="DIR", help="serve these files where no route matches")
    parser.add_argument("--cors", help="allowed origins, comma separated (default: Host.CORS)")
    parser.add_argument("--auth", action="store_true", help="enforce auth levels and keys, which Core Tools does not")
    parser.add_argument("--state", type=Path, metavar="DIR", help="where timer status and keys are kept")
    parser.add_argument("--drain-seconds", type=float, default=30, help="how long a stop waits (default %(default)g)")
    parser.add_argument("--log-level", default="information", choices=sorted(LEVELS), help="nothing below is logged")
    parser.add_argument("--log-format", default="text", choices=("text", "json"))
    options = parser.parse_args(argv)
    if not options.app.is_dir():
        parser.error(f"--app {options.app} is not a folder.")
    if options.static is not None and not options.static.is_dir():
        parser.error(f"--static {options.static} is not a folder.")
    options.app = options.app.resolve()
    options.static = options.static.resolve() if options.static else None
    digest = hashlib.sha256(str(options.app).encode()).hexdigest()[:12]
    options.state = (options.state or Path(tempfile.gettempdir()) / f"azure-functions-host-{digest}").resolve()
    return options


def _group(text: str) -> str:
    if text.lower() not in _GROUPS and not text.lower().startswith("function:"):
        raise argparse.ArgumentTypeError(f"{text!r} is no group; use {', '.join(_GROUPS)} or function:NAME.")
    return text


def _list(app: Path) -> int:
    try:
        functions = load_functions(app, os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py")
    except IndexingError as error:
        sys.stderr.write(f"local host: the app in {app} cannot be indexed: {error}\n")
        return 1
    json.dump([_listed(function) for function in functions], sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def _listed(function: Function) -> dict[str, Any]:
    details = {key: function.trigger[key] for key in _LISTED_KEYS if key in function.trigger}
    return {"name": function.name, "trigger": function.trigger_type, **details, "bindings": list(function.bindings)}


async def _serve(options: argparse.Namespace, local: LocalSettings, stop: asyncio.Event) -> None:
    """Serve until `stop`, then drain."""
    os.chdir(options.app)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what functions print shows at once
    host = FunctionsHost(options.app, options.group, options.log_level, options.state)
    secrets = Path(os.environ.get("FUNCTIONS_SECRETS_PATH") or options.state / "secrets")
    keys = KeyStore(secrets) if options.auth else None
    origins = options.cors.split(",") if options.cors else local.cors
    frontend_options = FrontendOptions(
        cors=Cors(tuple(origins), local.cors_credentials),
        keys=keys,
        static=StaticFiles(options.static) if options.static else None,
        body_limit=int(os.environ.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT") or DEFAULT_BODY_LIMIT),
    )
    admin = AdminEndpoints(host, secured=options.auth)
    server = web.Server(
        HttpFrontend(host, frontend_options, admin.handle).handle, auto_decompress=False, access_log=None
    )
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    port = local.port if options.port is None else options.port
    site = web.TCPSite(runner, options.host, port)
    await site.start()
    port = runner.addresses[0][1]
    apply_platform_settings(options.app, port)
    await host.start()
    announce(f"http://{options.host}:{port}")
    await stop.wait()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, os._exit, 1)  # a second signal does not wait
    await site.stop()
    await host.stop(options.drain_seconds)
    await runner.cleanup()
