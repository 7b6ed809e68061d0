"""An aiohttp application as a local service."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from aiohttp import web

from local.process import announce, run_service


def run_app(name: str, build_app: Callable[[], web.Application], port: int, shutdown_seconds: float) -> int:
    """Serve the app on loopback until SIGINT or SIGTERM; returns the process's exit status.

    Port 0 is a free one. `shutdown_seconds` is how long open requests may take to end.
    """

    async def serve(stop: asyncio.Event) -> None:
        runner = web.AppRunner(build_app(), access_log=None, shutdown_timeout=shutdown_seconds)
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
        sys.stderr.write(f"local {name}: cannot listen on port {port}: {error.strerror}. Choose another with --port.\n")
        return 1
