"""When the broker's turns run: soon after something happened, and when an alarm is due. Never without cause."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable

from local.servicebus.broker import Broker

logger = logging.getLogger(__name__)

_MAX_TIMER_SECONDS = 86_400.0


class Turns:
    """Gathers what arrives in one pass of the event loop into one turn: one transaction, one write a connection."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._is_scheduled = False
        self._is_running = False
        self._timer: asyncio.TimerHandle | None = None
        self._writes: list[Callable[[], None]] = []
        broker.wake = self.wake
        self.wake()

    def wake(self) -> None:
        """Run a turn in the next pass."""
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def write_later(self, write: Callable[[], None]) -> None:
        """Call `write` at the end of the coming turn, or of the current one."""
        self._writes.append(write)
        if not self._is_running:
            self.wake()

    def _run(self) -> None:
        self._is_scheduled = False
        self._is_running = True
        try:
            self._broker.turn()
        except sqlite3.Error:
            # Memory has what the disk has not. Nothing of it was acknowledged, so a restart is the way back.
            logger.critical("the database could not be written; stopping at once", exc_info=True)
            os._exit(1)
        finally:
            self._is_running = False
            writes, self._writes = self._writes, []
            for write in writes:
                write()
            self._set_timer()

    def _set_timer(self) -> None:
        alarm = self._broker.next_alarm
        delay = min(alarm - self._broker.clock(), _MAX_TIMER_SECONDS)
        when = self._loop.time() + max(0.0, delay)
        if self._timer is None or when < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.wake()
