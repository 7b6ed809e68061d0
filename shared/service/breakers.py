"""Circuit breakers of job types, shared by all instances: each counts for itself, and what opens is open everywhere."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeGuard

import msgspec

from shared.jobs.admission import Refusal
from shared.jobs.breaker import (
    BreakerRecord,
    BreakerState,
    Window,
    asks_to_wait,
    closed,
    is_fault,
    opened,
    probe_failed,
    probing,
    state,
    tells_nothing_good,
    with_prober,
    without_prober,
)
from shared.jobs.model import JobError
from shared.service.flow_state import FLOW, FlowState
from shared.service.ports import ConflictError, PreconditionFailedError, Records, TransientError

logger = logging.getLogger(__name__)

#: How often a breaker's record is written while others write it too.
TRIES = 8
#: While a probe is on its way, jobs come back after so many seconds, spread evenly.
DURING_PROBE = (1.0, 4.0)
#: Jobs come back spread over a share of the time that the breaker was open, within these bounds in seconds.
SPREAD_SHARE = 0.5
SPREAD = (2.0, 30.0)


def breaker_of(flow: Mapping[str, Any], job_type: str) -> BreakerRecord | None:
    """A job type's breaker in a snapshot of the flow records; None when it has never opened."""
    value = flow.get(_key(job_type))
    return None if value is None else msgspec.convert(value, BreakerRecord)


class Breakers:
    """The breakers of all job types.

    A run that `admit` calls a probe needs a `record` with `probe=True` or an `abandon` in the end; without either, the
    next probe waits for a minute. Neither raises TransientError: a breaker that cannot be read is as it was last known,
    and one that cannot be written opens at the next fault.
    """

    def __init__(
        self,
        records: Records,
        flow: FlowState,
        clock: Callable[[], datetime],
        rng: random.Random,
        instance_id: str,
    ) -> None:
        self._records = records
        self._flow = flow
        self._clock = clock
        self._rng = rng
        self._instance_id = instance_id
        self._windows: dict[str, Window] = {}

    async def admit(self, job_type: str) -> Refusal | bool:
        """Whether a job of the type may run: False, it may; True, it may and is the probe; else until when it waits."""
        breaker = breaker_of(await self._flow.read(), job_type)
        now = self._clock()
        if breaker is None or state(breaker, now) is BreakerState.CLOSED:
            return False
        if state(breaker, now) is BreakerState.HALF_OPEN and not probing(breaker, now):
            return await self._probe(job_type)
        return self._refusal(job_type, breaker)

    async def record(self, job_type: str, error: JobError | None, after: float | None, *, probe: bool) -> None:
        """Count how a run ended: with an error or without, and the seconds that the provider asked to wait."""
        try:
            if probe:
                await self._change(job_type, lambda breaker, now: self._after_probe(breaker, now, error, after))
            else:
                await self._count(job_type, error, after)
        except TransientError as exc:
            logger.warning("the breaker of %s could not be written: %s", job_type, exc)

    async def abandon(self, job_type: str) -> None:
        """A probe ended without news of the provider (put off, cancelled, interrupted): the next job may be one."""
        try:
            await self._change(job_type, lambda breaker, _: without_prober(breaker) if self._is_mine(breaker) else None)
        except TransientError as exc:
            logger.warning("the probe of %s could not be given back, its lease runs out: %s", job_type, exc)

    async def _count(self, job_type: str, error: JobError | None, after: float | None) -> None:
        now = self._clock()
        waits = is_fault(error) and asks_to_wait(after)
        window = self._windows.setdefault(job_type, Window())
        if state(breaker_of(await self._flow.read(), job_type), now) is not BreakerState.CLOSED and not waits:
            window.clear()  # it began before the breaker opened, and tells nothing of what comes after
            return
        window.add(now, fault=is_fault(error))
        if waits:
            reason = f"The provider asks to wait {after:g} s"
        elif is_fault(error) and window.trips(now):
            reason = window.describe()
        else:
            return
        if await self._change(job_type, lambda breaker, now: opened(breaker, now, f"{reason}: {error}", after)):
            logger.warning("the breaker of %s opens: %s: %s", job_type, reason, error)
        window.clear()

    def _after_probe(
        self, breaker: BreakerRecord | None, now: datetime, error: JobError | None, after: float | None
    ) -> BreakerRecord | None:
        if breaker is None or not self._is_mine(breaker):
            return None
        if tells_nothing_good(error):
            return probe_failed(breaker, now, f"The probe failed: {error}", after)
        return closed(now)

    def _is_mine(self, breaker: BreakerRecord | None) -> TypeGuard[BreakerRecord]:
        """Whether this instance has the probe."""
        return breaker is not None and breaker.prober == self._instance_id

    async def _probe(self, job_type: str) -> Refusal | bool:
        """Take the probe, unless another instance has it or has closed the breaker since."""

        def take(breaker: BreakerRecord | None, now: datetime) -> BreakerRecord | None:
            if breaker is None or state(breaker, now) is not BreakerState.HALF_OPEN or probing(breaker, now):
                return None
            return with_prober(breaker, self._instance_id, now)

        try:
            if await self._change(job_type, take):
                return True
        except TransientError as exc:
            logger.warning("the breaker of %s could not be read, its jobs wait: %s", job_type, exc)
        return Refusal(self._soon(*DURING_PROBE), _reason(job_type))

    async def _change(
        self, job_type: str, change: Callable[[BreakerRecord | None, datetime], BreakerRecord | None]
    ) -> bool:
        """Write what `change` makes of the record; False where it wants nothing written. Raises TransientError."""
        for _ in range(TRIES):
            found = await self._records.get(FLOW, _key(job_type))
            breaker = None if found is None else msgspec.convert(found.value, BreakerRecord)
            new = change(breaker, self._clock())
            if new is None or new == breaker:
                return False
            value = msgspec.to_builtins(new)
            try:
                if found is None:
                    await self._records.create(FLOW, _key(job_type), value)
                else:
                    await self._records.replace(FLOW, _key(job_type), value, found.etag)
            except (ConflictError, PreconditionFailedError):
                continue
            finally:
                self._flow.forget()
            return True
        raise TransientError(f"its record kept changing under {TRIES} writes")

    def _refusal(self, job_type: str, breaker: BreakerRecord) -> Refusal:
        """Come back when the breaker is half open, not all at once."""
        now = self._clock()
        if breaker.until is None or breaker.until <= now:
            return Refusal(self._soon(*DURING_PROBE), _reason(job_type))
        shortest, longest = SPREAD
        share = SPREAD_SHARE * (breaker.until - breaker.since).total_seconds()
        spread = timedelta(seconds=min(longest, max(shortest, share)) * self._rng.random())
        return Refusal(breaker.until + spread, _reason(job_type))

    def _soon(self, shortest: float, longest: float) -> datetime:
        return self._clock() + timedelta(seconds=self._rng.uniform(shortest, longest))


def _key(job_type: str) -> str:
    return f"breaker:{job_type}"


def _reason(job_type: str) -> str:
    return f"Waits for the provider of {job_type}, which fails"
