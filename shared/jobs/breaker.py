"""When the jobs of a type wait because their provider fails: a circuit breaker. Pure; times are handed in.

Closed, it counts: each instance for itself, over the last WINDOW. It opens when at least half of at least MIN_CALLS
calls failed, or when the provider asks for a wait. Once its time is over it is half open: a single job of all instances
probes the provider. If that goes well the breaker closes; else it opens again, for twice as long.
"""

from __future__ import annotations

import enum
from collections import deque
from datetime import datetime, timedelta

import msgspec

from shared.jobs.model import JobError
from shared.jobs.retry import MAX_RETRY_AFTER

#: The codes of errors that are the provider's. A handler of yours may raise a RetryableError with one of them.
PROVIDER_FAULTS = frozenset(
    {"provider_timeout", "provider_unreachable", "provider_malformed", "provider_error", "provider_rate_limited"}
)
WINDOW = timedelta(seconds=10)
MIN_CALLS = 5
FAULT_SHARE = 0.5
FIRST_OPEN = timedelta(seconds=5)
LONGEST_OPEN = timedelta(seconds=60)
#: A wait that a provider asks for counts from so many seconds on; a shorter one is left to the job's own retry.
LEAST_RETRY_AFTER = 1.0
#: An instance that died with the probe holds up the next one for so long.
PROBE_LEASE = timedelta(seconds=60)


class BreakerState(enum.StrEnum):
    """What a breaker does with a job."""

    CLOSED = "closed"  # lets it run
    OPEN = "open"  # puts it off
    HALF_OPEN = "half_open"  # lets one run, to see


class BreakerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the instances share of one breaker that has ever opened.

    It is closed when `until` is None. `failed_probes` counts since it opened; `prober` holds the probe until
    `probe_until`.
    """

    since: datetime
    until: datetime | None = None
    reason: str = ""
    failed_probes: int = 0
    prober: str = ""
    probe_until: datetime | None = None


class Window:
    """How the calls of this instance went of late."""

    def __init__(self) -> None:
        self._calls: deque[tuple[datetime, bool]] = deque()

    def add(self, now: datetime, *, fault: bool) -> None:
        """Count a call."""
        self._calls.append((now, fault))

    def trips(self, now: datetime) -> bool:
        """Whether so many failed that the breaker has to open."""
        while self._calls and self._calls[0][0] <= now - WINDOW:
            self._calls.popleft()
        faults = sum(fault for _, fault in self._calls)
        return len(self._calls) >= MIN_CALLS and faults >= FAULT_SHARE * len(self._calls)

    def clear(self) -> None:
        """Forget the calls: what was before the breaker opened says nothing of what comes after."""
        self._calls.clear()

    def describe(self) -> str:
        """How many failed, in words."""
        return f"{sum(fault for _, fault in self._calls)} of {len(self._calls)} calls failed"


def is_fault(error: JobError | None) -> bool:
    """Whether an attempt ended as it did because of the provider."""
    return error is not None and error.code in PROVIDER_FAULTS


def tells_nothing_good(error: JobError | None) -> bool:
    """Whether a probe that ended so failed. A handler that ran out of time most likely waited for the provider."""
    return is_fault(error) or (error is not None and error.code == "timeout")


def asks_to_wait(after: float | None) -> bool:
    """Whether a provider asks for a wait that all instances have to respect."""
    return after is not None and after >= LEAST_RETRY_AFTER


def state(record: BreakerRecord | None, now: datetime) -> BreakerState:
    """The breaker's state."""
    if record is None or record.until is None:
        return BreakerState.CLOSED
    return BreakerState.OPEN if now < record.until else BreakerState.HALF_OPEN


def probing(record: BreakerRecord, now: datetime) -> bool:
    """Whether a probe is on its way."""
    return record.probe_until is not None and now < record.probe_until


def opened(record: BreakerRecord | None, now: datetime, reason: str, after: float | None) -> BreakerRecord:
    """Open it, or keep it open for at least as long as a provider asks."""
    until = now + _wait(after, FIRST_OPEN)
    if record is None or state(record, now) is BreakerState.CLOSED:
        return BreakerRecord(since=now, until=until, reason=reason)
    if not asks_to_wait(after) or (record.until is not None and record.until >= until):
        return record
    return msgspec.structs.replace(record, until=until, reason=reason)


def with_prober(record: BreakerRecord, prober: str, now: datetime) -> BreakerRecord:
    """Give the probe of a half-open breaker to an instance."""
    return msgspec.structs.replace(record, prober=prober, probe_until=now + PROBE_LEASE)


def without_prober(record: BreakerRecord) -> BreakerRecord:
    """The probe told nothing: the next job may be one."""
    return msgspec.structs.replace(record, prober="", probe_until=None)


def probe_failed(record: BreakerRecord, now: datetime, reason: str, after: float | None) -> BreakerRecord:
    """Open again, for twice as long as the last time, or for as long as the provider asks if that is longer."""
    failed = record.failed_probes + 1
    longer = min(LONGEST_OPEN, FIRST_OPEN * 2 ** min(failed, 10))
    until = now + max(longer, _wait(after, longer))
    return msgspec.structs.replace(without_prober(record), until=until, reason=reason, failed_probes=failed)


def closed(now: datetime) -> BreakerRecord:
    """Close it."""
    return BreakerRecord(since=now)


def _wait(after: float | None, otherwise: timedelta) -> timedelta:
    if after is None or not asks_to_wait(after):
        return otherwise
    # The bound is taken of the seconds, for a timedelta cannot hold every float.
    return timedelta(seconds=min(MAX_RETRY_AFTER.total_seconds(), after))
