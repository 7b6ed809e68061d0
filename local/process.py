"""What every local service does as a process: announce itself, log to stderr, stop on a signal, die with its parent."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable

#: Set by a supervisor to its own pid: a service started so stops when that process is gone, however it went.
PARENT_PID = "LOCAL_PARENT_PID"
_PR_SET_PDEATHSIG = 1  # prctl(2)


def configure_logging(level: str = "INFO") -> None:
    """Log to stderr as `LEVEL logger: message`; stdout is kept for the `ready` line."""
    logging.basicConfig(stream=sys.stderr, level=level, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)


def announce(url: str) -> None:
    """Print the one line `ready URL` that whoever started this service waits for."""
    sys.stdout.write(f"ready {url}\n")
    sys.stdout.flush()


def die_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the supervisor dies, so that its kill -9 leaves no orphan on a port.

    Linux only; elsewhere the next `up` finds and stops what an earlier one left.
    """
    parent = os.environ.get(PARENT_PID)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("local: the supervisor that started this service is gone.")


def run_service(serve: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run `serve(stop)` until it returns; SIGINT and SIGTERM set `stop`. Returns the process's exit status, 0."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        await serve(stop)

    die_with_parent()
    asyncio.run(run())
    return 0
