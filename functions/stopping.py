"""Hearing of the signal that ends the host's process, so that jobs that only wait do not hold up the end."""

from __future__ import annotations

import asyncio
import functools
import signal
import threading
from types import FrameType

from shared.composition import services


@functools.cache
def close_gate_on_signal() -> None:
    """From now on SIGTERM or SIGINT closes the gate: the host waits for the jobs that run, and those that wait for a
    slot go back to their queues, for another instance.

    Only where this process handles the signal at all, as the local host does. Elsewhere it ends at once, as ever, and
    the broker delivers again what was in hand.
    """
    if threading.current_thread() is threading.main_thread():
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            _close_gate_on(number, loop)


def _close_gate_on(number: signal.Signals, loop: asyncio.AbstractEventLoop) -> None:
    """Be called before whatever handles the signal now. (A loop's own handlers hear of it by a file descriptor.)"""
    handler = signal.getsignal(number)
    if not callable(handler):
        return

    def close_gate(signalled: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(services().flow.close)
        handler(signalled, frame)

    signal.signal(number, close_gate)
