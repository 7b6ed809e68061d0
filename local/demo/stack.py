"""The demo's own stack: `python -m local up` on free ports and on data that is gone afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections import deque
from collections.abc import AsyncIterator

from local.process import PARENT_PID

READY_SECONDS = 60.0
STOP_SECONDS = 60.0
_LOG_LINES = 300


class StackFailedError(Exception):
    """The stack did not come up, or not down; its log says why."""


class DemoStack:
    """Starts and stops the stack; `log` keeps its last lines for when something fails."""

    def __init__(self) -> None:
        self.log: deque[str] = deque(maxlen=_LOG_LINES)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """The stack's URL while it runs."""
        with tempfile.TemporaryDirectory(prefix="dtq-demo-") as data:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "local", "up", "--port", "0", "--data", data),
                env={**os.environ, PARENT_PID: str(os.getpid())},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for the demo, which then stops the stack
            )
            url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            reader = asyncio.create_task(self._read(process, url))
            try:
                yield await self._ready(url)
            finally:
                status = await self._stop(process)
                await reader
            if status != 0:
                raise StackFailedError(f"the stack ended with exit status {status}")

    async def _ready(self, url: asyncio.Future[str]) -> str:
        try:
            return await asyncio.wait_for(url, READY_SECONDS)
        except TimeoutError:
            raise StackFailedError(f"the stack was not ready within {READY_SECONDS:g} s") from None

    async def _read(self, process: asyncio.subprocess.Process, url: asyncio.Future[str]) -> None:
        assert process.stdout is not None  # noqa: S101 - it was asked for
        async for line in process.stdout:
            text = line.decode(errors="replace").rstrip()
            if text.startswith("ready ") and not url.done():
                url.set_result(text.removeprefix("ready "))
            else:
                self.log.append(text)
        if not url.done():
            url.set_exception(StackFailedError("the stack stopped before it was ready"))

    async def _stop(self, process: asyncio.subprocess.Process) -> int:
        """End the stack by the signal of a Ctrl-C; its exit status."""
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        try:
            return await asyncio.wait_for(process.wait(), STOP_SECONDS)
        except TimeoutError:
            process.kill()
            raise StackFailedError(f"the stack did not stop within {STOP_SECONDS:g} s") from None
