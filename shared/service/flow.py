"""Flow control in one instance: which of the jobs in hand may run now, and which have to wait or to come back.

A job in hand passes here before it is claimed: one that waits is still `queued`, and cancelling it works as ever. The
gate comes before breakers and limits, so that what there is of them goes to the most urgent jobs first.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.config import Settings
from shared.jobs.admission import Gate, Refusal, Ticket
from shared.jobs.breaker import tells_nothing_good
from shared.jobs.model import Job, JobMessage, Priority
from shared.jobs.outcomes import Completed, Failed, Outcome, Snoozed
from shared.service.breakers import Breakers, breaker_of
from shared.service.flow_state import FlowState
from shared.service.limiter import Limiter
from shared.service.ports import Records

#: How long a job in hand waits, in seconds, for its paused queue to be resumed, before it goes back to the queue.
HOLD_SECONDS = 30.0
#: How often it looks meanwhile, in seconds.
LOOK_SECONDS = 1.0
#: A job of a paused type comes back after so many seconds, at random, so that they do not all come at once.
PAUSED_TYPE_SECONDS = (15.0, 60.0)
#: A job whose probe of its provider failed comes back so many seconds after the breaker's time, at random.
AFTER_PROBE_SECONDS = (2.0, 10.0)


def queue_key(priority: Priority) -> str:
    """The record that pauses a queue."""
    return f"queue:{priority}"


def held_queues(flow: Mapping[str, object]) -> list[Priority]:
    """The queues that are paused in a snapshot of the flow records."""
    return [priority for priority in Priority if queue_key(priority) in flow]


def job_type_key(name: str) -> str:
    """The record that pauses a job type."""
    return f"job_type:{name}"


@dataclass
class Admission:
    """What a job was given so that it may run: a slot, leave of its limits, perhaps its breaker's probe."""

    job: Job
    arrived: float
    ticket: Ticket | None = None
    granted: bool = False
    probe: bool = False


class FlowControl:
    """Everything that decides in one instance whether a job may run: pauses, slots, breakers and limits, in this order.

    `admit` every job before it is claimed, `report` what its handler came to, and `release` what it was given.
    """

    def __init__(
        self,
        settings: Settings,
        records: Records,
        clock: Callable[[], datetime],
        rng: random.Random,
        instance_id: str,
    ) -> None:
        self.state = FlowState(records, clock)
        self.limiter = Limiter(settings, records, clock, rng, instance_id)
        self._breakers = Breakers(records, self.state, clock, rng, instance_id)
        self._gate = Gate(settings.slots, settings.priority_weights, settings.ageing_seconds)
        self._clock = clock
        self._rng = rng
        self._asking: Counter[str] = Counter()
        self._turns: dict[Ticket, asyncio.Future[None]] = {}
        self._closed = asyncio.Event()

    async def admit(self, message: JobMessage) -> Admission | Refusal:
        """Leave to run, once it is the job's turn; or why it has to be put off, and until when.

        A wait that is cancelled leaves nothing behind.
        """
        job = message.job
        self._asking[job.job_type] += 1
        try:
            while await self._is_open(job):
                admission = Admission(job, asyncio.get_running_loop().time())
                admitted: Refusal | bool = False
                try:
                    admitted = await self._enter(admission, returning=message.returning)
                finally:
                    if admitted is not True:
                        await self.release(admission)
                if admitted is True:
                    return admission
                if isinstance(admitted, Refusal):
                    return admitted
        finally:
            self._asking[job.job_type] -= 1
        reason = "Its instance stops" if self._closed.is_set() else f"The queue {job.priority} is paused"
        return Refusal(self._clock(), reason)

    async def report(self, admission: Admission, outcome: Outcome) -> Outcome:
        """Let the breaker of the job's type know how its handler ended, and say what the outcome is to be.

        An attempt that probed a provider and found it failing still is not burnt.
        """
        job_type = admission.job.job_type
        match outcome:
            case Completed():
                error, after = None, None
            case Failed():
                error, after = outcome.error, outcome.after
            case _:
                return outcome  # it tells nothing of the provider
        probe, admission.probe = admission.probe, False
        await self._breakers.record(job_type, error, after, probe=probe)
        if not (probe and tells_nothing_good(error)):
            return outcome
        breaker = breaker_of(await self.state.read(), job_type)
        until = breaker.until if breaker is not None and breaker.until is not None else self._clock()
        return Snoozed(until + timedelta(seconds=self._rng.uniform(*AFTER_PROBE_SECONDS)))

    async def release(self, admission: Admission) -> None:
        """Give back whatever the job was given."""
        self._leave(admission)
        if admission.granted:
            admission.granted = False
            await self.limiter.give_back(admission.job)
        if admission.probe:
            admission.probe = False
            await self._breakers.abandon(admission.job.job_type)

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

    async def _enter(self, admission: Admission, *, returning: bool) -> Refusal | bool:
        """Let the job in; False when its queue has been paused meanwhile, or the process is to end."""
        job = admission.job
        while await self._has_slot(admission):
            known = await self.state.read()  # the wait for the slot may have been long
            if queue_key(job.priority) in known:
                return False
            if job_type_key(job.job_type) in known:
                wait = timedelta(seconds=self._rng.uniform(*PAUSED_TYPE_SECONDS))
                return Refusal(self._clock() + wait, f"The job type {job.job_type} is paused")
            if admission.granted:
                return True
            probe = await self._breakers.admit(job.job_type)
            if isinstance(probe, Refusal):
                return probe
            admission.probe = probe
            grant = await self.limiter.take(job, returning=returning, demand=self._asking[job.job_type])
            if isinstance(grant, Refusal):
                return grant
            admission.granted = True
            wait_seconds = (grant.at - self._clock()).total_seconds()
            if wait_seconds <= 0:
                return True
            self._leave(admission)  # nobody waits in a slot
            await asyncio.sleep(wait_seconds)
        return False

    async def _has_slot(self, admission: Admission) -> bool:
        """Wait in line for a slot; False when the process is to end."""
        ticket = self._gate.enter(admission.job.priority, admission.arrived)
        admission.ticket = ticket
        turn = self._turns[ticket] = asyncio.get_running_loop().create_future()
        self._serve()
        try:
            await turn
        except BaseException:
            self._leave(admission)
            raise
        finally:
            del self._turns[ticket]
        if self._closed.is_set():
            self._leave(admission)
        return admission.ticket is not None

    def _leave(self, admission: Admission) -> None:
        """Give the slot, or the place in line, to the next."""
        if admission.ticket is not None:
            self._gate.leave(admission.ticket)
            admission.ticket = None
            self._serve()

    def _serve(self) -> None:
        while (ticket := self._gate.admit()) is not None:
            turn = self._turns[ticket]
            if not turn.done():
                turn.set_result(None)
