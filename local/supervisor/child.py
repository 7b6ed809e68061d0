"""One service's process through its life: started, ready, restarted when it crashes, stopped when asked."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable

from local.supervisor.errors import ServiceGaveUpError
from local.supervisor.log import Log
from local.supervisor.ports import LOOPBACK
from local.supervisor.services import ROOT, Service, child_environment

READY_SECONDS = 30.0
#: Seconds before the 1st, 2nd, ... restart in a row; the last one repeats.
RESTART_DELAYS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
#: A service that ran this long before it crashed starts over at the first delay.
STEADY_SECONDS = 30.0
#: Starts that end before `ready`, with none that came up, after which the stack gives up.
START_ATTEMPTS = 3
_LONGEST_LINE = 16 * 1024  # bytes; a longer line is shown in pieces
_PROBE_SECONDS = 0.05
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Child:
    """Keeps `service` running from `run()` until `stop()`."""

    def __init__(self, service: Service, log: Log, started: Callable[[str, int, signal.Signals], None]) -> None:
        self.service = service
        self.ready = asyncio.Event()
        self._log = log
        self._started = started
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Return once stopped; raise ServiceGaveUpError when the service does not come up at all."""
        name, in_a_row = self.service.name, 0
        while not self._stopping.is_set():
            begin = asyncio.get_running_loop().time()
            how = await self._run_once()
            if self._stopping.is_set():
                return
            in_a_row = 0 if asyncio.get_running_loop().time() - begin > STEADY_SECONDS else in_a_row
            if in_a_row + 1 >= START_ATTEMPTS and not self.ready.is_set():
                raise ServiceGaveUpError(
                    f"{name} {how}, {START_ATTEMPTS} times in a row; its last lines above say why."
                )
            delay = RESTART_DELAYS[min(in_a_row, len(RESTART_DELAYS) - 1)]
            in_a_row += 1
            self._log.own(f"{name} {how}; restarting in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)

    async def stop(self, seconds: float) -> None:
        """Ask the process to end; after `seconds` kill it. Returns when it is gone."""
        self._stopping.set()
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(self.service.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            self._log.own(f"{self.service.name} did not stop within {seconds:g} s; killing it")
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """SIGKILL to the process and all that it started."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _run_once(self) -> str:
        """Start the process and see it through to its end; how it ended, in words."""
        process = self._process = await self._start()
        self._started(self.service.name, process.pid, self.service.stop_signal)
        if self._stopping.is_set():  # asked for while it was being started
            process.send_signal(self.service.stop_signal)
        is_ready = asyncio.Event()
        reader = asyncio.create_task(self._relay_log(process, is_ready))
        prober = asyncio.create_task(self._probe(is_ready))
        watcher = asyncio.create_task(self._watch_start(is_ready))
        try:
            status = await process.wait()
            await reader
        finally:
            for task in (reader, prober, watcher):
                task.cancel()
            self._process = None
        if not is_ready.is_set() and watcher.done():
            return f"was not ready within {READY_SECONDS:g} s"
        return _describe(status)

    async def _start(self) -> asyncio.subprocess.Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self.service.command,
                cwd=ROOT,
                env=child_environment(self.service.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C of the terminal is for the supervisor alone
                preexec_fn=self._die_with_supervisor(),
            )
        except FileNotFoundError as error:
            program = self.service.command[0]
            raise ServiceGaveUpError(f"{program} is not installed; `make setup` names what is missing.") from error

    def _die_with_supervisor(self) -> Callable[[], None] | None:
        """For a program that does not do it by itself, as ours do (local.process): ask the kernel for its stop signal
        when this process dies, however that comes. Linux only; elsewhere the next `up` clears away what is left."""
        if self.service.command[0] == sys.executable or not sys.platform.startswith("linux"):
            return None
        libc, number = ctypes.CDLL(None, use_errno=True), int(self.service.stop_signal)
        return lambda: libc.prctl(_PR_SET_PDEATHSIG, number)

    async def _watch_start(self, is_ready: asyncio.Event) -> None:
        """Tell the stack that the service is up, or kill it when it is not in time."""
        try:
            await asyncio.wait_for(is_ready.wait(), READY_SECONDS)
        except TimeoutError:
            self.kill()
            return
        if self.ready.is_set():
            self._log.own(f"{self.service.name} is ready again")
        self.ready.set()

    async def _probe(self, is_ready: asyncio.Event) -> None:
        """Set `is_ready` once the port of a service that prints no `ready` line answers."""
        while self.service.answering_port is not None and not is_ready.is_set():
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, self.service.answering_port)
            except OSError:
                await asyncio.sleep(_PROBE_SECONDS)
                continue
            is_ready.set()
            writer.close()

    async def _relay_log(self, process: asyncio.subprocess.Process, is_ready: asyncio.Event) -> None:
        """Pass every line of the process on to the log, but for the `ready` line."""
        assert process.stdout is not None  # noqa: S101 - it was asked for
        rest = b""
        while chunk := await process.stdout.read(_LONGEST_LINE):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) >= _LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                text = line.decode(errors="replace").rstrip()
                if text.startswith("ready ") and not is_ready.is_set():
                    is_ready.set()
                elif text:
                    self._log.write(self.service.name, text)
        if rest:
            self._log.write(self.service.name, rest.decode(errors="replace"))


def _describe(status: int) -> str:
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"stopped with exit status {status}"
