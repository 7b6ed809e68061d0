"""`python -m local signalr [--port 8888]`: the SignalR emulator, on loopback only; its access key is SIGNALR_KEY."""

from __future__ import annotations

import argparse
import asyncio
import os

from aiohttp import web

from local.process import announce, configure_logging, run_service
from local.signalr.server import build_app

_KEY = "SIGNALR_KEY"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local signalr", description=__doc__)
    parser.add_argument("--port", type=int, default=8888, help="port on 127.0.0.1; 0 picks a free one (default 8888)")
    parser.add_argument(
        "--ping-seconds",
        type=float,
        default=15,
        help="ping a client that heard nothing for so long, and drop one silent for twice that (default 15, as Azure); "
        "a test of silence sets less",
    )
    options = parser.parse_args(argv)
    port: int = options.port
    key = os.environ.get(_KEY)
    if not key:
        parser.error(f"set the environment variable {_KEY} to the access key, the AccessKey of the connection string.")
    if options.ping_seconds <= 0:
        parser.error("--ping-seconds must be more than 0.")
    configure_logging()

    async def serve(stop: asyncio.Event) -> None:
        runner = web.AppRunner(build_app(key, options.ping_seconds), access_log=None, shutdown_timeout=3)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            announce(f"http://127.0.0.1:{runner.addresses[0][1]}")
            await stop.wait()
        finally:
            await runner.cleanup()

    try:
        return run_service(serve)
    except OSError as error:
        parser.exit(1, f"local signalr: cannot listen on port {port}: {error.strerror}. Choose another with --port.\n")
