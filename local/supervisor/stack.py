"""The whole stack: every service side by side, ready when all are, stopped in order."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

from local.supervisor.child import Child
from local.supervisor.errors import ServiceGaveUpError
from local.supervisor.log import Log
from local.supervisor.services import ROOT, Function, Service, child_environment, list_command
from local.supervisor.state import StateFile

#: Hosts finish what they run first; the Functions host's own drain is bounded below this.
DRAIN_SECONDS = 40.0
#: For the services behind them, which have nothing to wait for but their files.
STOP_SECONDS = 10.0
_LIST_SECONDS = 30.0


class Stack:
    """Runs services from `run()` until a signal, or until one of them does not come up at all."""

    def __init__(self, log: Log, state: StateFile) -> None:
        self._log = log
        self._state = state
        self._children: list[Child] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._killed_by: signal.Signals | None = None

    def on_signal(self, number: signal.Signals) -> None:
        """The first signal drains; another one kills everything at once."""
        if not self._stop.is_set():
            self._log.own(f"stopping on {number.name}; once more kills at once")
            self._stop.set()
            return
        self._killed_by = number
        for child in self._children:
            child.kill()

    async def run(
        self,
        emulators: Sequence[Service],
        hosts: Callable[[], Awaitable[Sequence[Service]]],
        announce: Callable[[float], None],
    ) -> int:
        """Start all, call `announce(seconds taken)` once all are ready, and stop all at a signal.

        Returns 0 after an orderly stop, 128 + signal when killed. Raises ServiceGaveUpError, after stopping the
        others, when a service does not come up.
        """
        begin = time.monotonic()
        self._launch(emulators)

        async def start_hosts() -> None:
            self._launch(await hosts())
            await asyncio.gather(*(child.ready.wait() for child in self._children))
            announce(time.monotonic() - begin)

        starting = self._spawn(start_hosts())
        await self._stop.wait()
        starting.cancel()
        await self._drain()
        for task in self._tasks:
            if not task.cancelled():
                task.result()
        return 128 + self._killed_by if self._killed_by else 0

    def _launch(self, services: Sequence[Service]) -> None:
        for service in services:
            self._log.introduce(service.name)
            child = Child(service, self._log, self._state.started)
            self._children.append(child)
            self._spawn(child.run())

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._on_end)
        self._tasks.append(task)
        return task

    def _on_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._log.own(f"giving up: {task.exception()}")
            self._stop.set()

    async def _drain(self) -> None:
        """Hosts first, while all that they use still runs; then the services."""
        hosts = [child for child in self._children if child.service.is_host]
        services = [child for child in self._children if not child.service.is_host]
        await asyncio.gather(*(child.stop(DRAIN_SECONDS) for child in hosts))
        await asyncio.gather(*(child.stop(STOP_SECONDS) for child in services))
        await asyncio.wait(self._tasks)
        self._log.own("stopped")


async def list_functions(settings: Mapping[str, str]) -> list[Function]:
    """The app's functions under `settings`, as `python -m local host --list` tells them.

    Raises ServiceGaveUpError when it cannot.
    """
    process = await asyncio.create_subprocess_exec(
        *list_command(),
        cwd=ROOT,
        env=child_environment(settings),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(), _LIST_SECONDS)
    except TimeoutError:
        raise ServiceGaveUpError(f"the function app was not listed within {_LIST_SECONDS:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode != 0:
        raise ServiceGaveUpError(f"the function app cannot be listed:\n{errors.decode(errors='replace').rstrip()}")
    return [Function(str(row["name"]), str(row["trigger"])) for row in json.loads(output)]
