"""Flow control in one instance: which of the jobs in hand may run now, and which have to wait or to come back.

A job in hand passes here before it is claimed: one that waits is still `queued`, and cancelling it works as ever.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.config import Settings
from shared.jobs.admission import Gate, Refusal, Ticket
from shared.jobs.model import Job, Priority
from shared.service.flow_state import FlowState

#: How long a job in hand waits, in seconds, for its paused queue to be resumed, before it goes back to the queue.
HOLD_SECONDS = 30.0
#: How often it looks meanwhile, in seconds.
LOOK_SECONDS = 1.0
#: A job of a paused type comes back after so many seconds, at random, so that they do not all come at once.
PAUSED_TYPE_SECONDS = (15.0, 60.0)


def queue_key(priority: Priority) -> str:
    """The record that pauses a queue."""
    return f"queue:{priority}"


def job_type_key(name: str) -> str:
    """The record that pauses a job type."""
    return f"job_type:{name}"


class FlowControl:
    """The gate of one instance, and what else decides whether a job may run: pauses of its queue and of its type.

    `admit` every job before it is claimed, and `release` what it was given once the job is settled.
    """

    def __init__(self, state: FlowState, settings: Settings, clock: Callable[[], datetime], rng: random.Random) -> None:
        self.state = state
        self._clock = clock
        self._rng = rng
        self._gate = Gate(settings.slots, settings.priority_weights, settings.ageing_seconds)
        self._turns: dict[Ticket, asyncio.Future[None]] = {}
        self._closed = asyncio.Event()

    async def admit(self, job: Job) -> Ticket | Refusal:
        """A slot, once it is the job's turn. A wait that is cancelled leaves nothing behind."""
        while await self._is_open(job):
            ticket = await self._slot(job)
            if ticket is None:
                break
            try:
                known = await self.state.read()  # the wait for the slot may have been long
            except BaseException:
                self.release(ticket)
                raise
            if queue_key(job.priority) not in known and job_type_key(job.job_type) not in known:
                return ticket
            self.release(ticket)
            if job_type_key(job.job_type) in known:
                wait = timedelta(seconds=self._rng.uniform(*PAUSED_TYPE_SECONDS))
                return Refusal(self._clock() + wait, f"The job type {job.job_type} is paused")
        reason = "Its instance stops" if self._closed.is_set() else f"The queue {job.priority} is paused"
        return Refusal(self._clock(), reason)

    def release(self, ticket: Ticket) -> None:
        """Give a slot back, for the next in line."""
        self._gate.leave(ticket)
        self._serve()

    def close(self) -> None:
        """Turn away all who wait, and all who come: the process ends with what runs now."""
        self._closed.set()
        for turn in self._turns.values():
            if not turn.done():
                turn.set_result(None)

    async def _is_open(self, job: Job) -> bool:
        """Wait a while for a paused queue to be resumed. Whether it is open."""
        loop = asyncio.get_running_loop()
        until = loop.time() + HOLD_SECONDS
        while not self._closed.is_set():
            if queue_key(job.priority) not in await self.state.read():
                return True
            if loop.time() >= until:
                return False
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._closed.wait()
            except TimeoutError:
                continue
        return False

    async def _slot(self, job: Job) -> Ticket | None:
        """Wait in line; None when the process is to end."""
        loop = asyncio.get_running_loop()
        ticket = self._gate.enter(job.priority, loop.time())
        turn = self._turns[ticket] = loop.create_future()
        self._serve()
        try:
            await turn
        except BaseException:
            self.release(ticket)
            raise
        finally:
            del self._turns[ticket]
        if self._closed.is_set():
            self.release(ticket)
            return None
        return ticket

    def _serve(self) -> None:
        while (ticket := self._gate.admit()) is not None:
            turn = self._turns[ticket]
            if not turn.done():
                turn.set_result(None)
