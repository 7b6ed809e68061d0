"""`python -m local sandbox [--port 9000]`: the sandbox of the public APIs, on loopback only."""

from __future__ import annotations

import argparse
import asyncio

from aiohttp import web

from local.process import announce, configure_logging, run_service
from local.sandbox.server import build_app


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=9000, help="port on 127.0.0.1; 0 picks a free one (default 9000)")
    port: int = parser.parse_args(argv).port
    configure_logging()

    async def serve(stop: asyncio.Event) -> None:
        runner = web.AppRunner(build_app(), access_log=None, shutdown_timeout=1)
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
        parser.exit(1, f"local sandbox: cannot listen on port {port}: {error.strerror}. Choose another with --port.\n")
