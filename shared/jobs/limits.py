"""Limits that all instances share: tokens on a schedule, places in line, leases of what runs at once. Pure.

One small record a limit holds it all, and an instance changes it by a conditional write of the whole. The rate is GCRA
(ITU-T I.371): tokens lie on a schedule, one each 1/rate seconds, and each may be used from its time on for a second. So
in any t seconds at most rate * (t + 1) + 1 are used, whoever takes them. Who finds none within a second gets a place in
the line of its priority and comes back for a token then. A line never holds up a more urgent one.
"""

from __future__ import annotations

import msgspec

from shared.jobs.model import Priority

#: A token may be used so long after its time, in seconds: who comes a little late for it loses nothing.
GRACE = 1.0
#: A token is handed out at most so long before its time, in seconds, and at most so many are: the jobs wait for them in
#: hand, where others of their queue could run.
AHEAD = 1.0
AHEAD_TOKENS = 8
#: A line is taken for empty when nobody has come for what is free for so many seconds and two intervals.
IDLE = 1.0
#: A lease lasts so many seconds unless it is renewed.
LEASE_SECONDS = 30.0
#: A run is taken for at least so many seconds long when the line for a concurrency limit is paced.
SHORTEST_RUN = 0.1
#: A line for a concurrency limit is paced so much quicker than leases should come free, so that none waits for a job.
PACE = 1.25
#: The weight of the newest run in the average length.
_NEWEST = 0.25


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs may start in a second and how many may run at once, over all instances; None is no limit."""

    rate_per_second: float | None = None
    max_concurrent: int | None = None

    def __post_init__(self) -> None:
        if self.rate_per_second is not None and not 0.001 <= self.rate_per_second <= 10_000:
            raise ValueError("rate_per_second must be from 0.001 to 10000, or null for no limit")
        if self.max_concurrent is not None and not 1 <= self.max_concurrent <= 10_000:
            raise ValueError("max_concurrent must be from 1 to 10000, or null for no limit")

    def __bool__(self) -> bool:
        return self.rate_per_second is not None or self.max_concurrent is not None


class Lease(msgspec.Struct, frozen=True, array_like=True):
    """How many jobs an instance may run at once, until when unless it renews."""

    count: int
    until: float


class LimitRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What the instances share of one limit. Times are in seconds since 1970.

    `next` is the time of the next free token, `last` when a job was let in last, `tails` the last place that was given
    in each line, `run_seconds` how long a job runs on average. `limit` is what the lines were paced by.
    """

    limit: Limit = Limit()
    next: float = 0.0
    last: float = 0.0
    tails: dict[str, float] = {}
    holders: dict[str, Lease] = {}
    run_seconds: float = 0.0


class Line(msgspec.Struct, frozen=True):
    """Where a job lines up: behind those of its priority, or before them when it comes back from there."""

    priority: Priority
    returning: bool = False

    @property
    def name(self) -> str:
        """Its key in the record."""
        return f"{self.priority}:back" if self.returning else str(self.priority)

    @property
    def rank(self) -> int:
        """Lines of a lower rank are more urgent."""
        return 2 * list(Priority).index(self.priority) + (not self.returning)


_LINES = [Line(priority, returning) for priority in Priority for returning in (True, False)]


def tidy(record: LimitRecord, limit: Limit, now: float) -> LimitRecord:
    """The record without what has run out, and without the lines when they were made for another limit or when nobody
    comes any more who stood in them: what is free goes to whoever asks."""
    holders = {name: lease for name, lease in record.holders.items() if lease.until > now}
    tails = {name: tail for name, tail in record.tails.items() if tail > now}
    following = record.next
    if record.limit != limit:
        tails = {}
        following = min(following, now + 1 / limit.rate_per_second) if limit.rate_per_second else 0.0
    record = msgspec.structs.replace(record, limit=limit, next=following, tails=tails, holders=holders)
    if now - record.last > IDLE + 2 * interval(record) and _unleased(record):
        return msgspec.structs.replace(record, tails={})
    return record


def interval(record: LimitRecord) -> float:
    """Seconds between two places in a line: the rate's, or what a lease takes to come free."""
    seconds = 1 / record.limit.rate_per_second if record.limit.rate_per_second else 0.0
    if record.limit.max_concurrent:
        seconds = max(seconds, max(record.run_seconds, SHORTEST_RUN) / record.limit.max_concurrent / PACE)
    return seconds


def let_in(
    record: LimitRecord, line: Line, holder: str, now: float, token: float | None = None
) -> tuple[LimitRecord, float] | None:
    """Take a token, unless the holder has one, and a lease for one more job; None when it has to line up.

    Returns the record and the token's time: it may be used from then (at most AHEAD after `now`) until GRACE later. The
    record must be tidy.
    """
    if is_behind(record, line, now) or not _unleased(record):
        return None
    rate = record.limit.rate_per_second
    if rate and token is None:
        token = max(record.next, now - GRACE)
        if token > now + min(AHEAD, AHEAD_TOKENS / rate):
            return None
        record = msgspec.structs.replace(record, next=token + 1 / rate)
    token = now if token is None else token
    if record.limit.max_concurrent:
        record = hold(record, holder, leased(record, holder, now) + 1, now)
    return msgspec.structs.replace(record, last=max(record.last, token, now)), token


def line_up(record: LimitRecord, line: Line, now: float) -> tuple[LimitRecord, float]:
    """Take the next place of a line: when to come back. It is behind the more urgent lines, and ahead of no less."""
    tails = [record.tails.get(each.name, 0.0) for each in _LINES[: line.rank + 1]]
    place = max(now, record.next, *tails) + interval(record)
    return msgspec.structs.replace(record, tails={**record.tails, line.name: place}), place


def is_behind(record: LimitRecord, line: Line, now: float) -> bool:
    """Whether others are before a job of this line. Who comes back has had its place: only more urgent ones are."""
    ahead = [each for each in _LINES if each.rank <= line.rank and not (line.returning and each == line)]
    return any(record.tails.get(each.name, 0.0) > now for each in ahead)


def hold(record: LimitRecord, holder: str, count: int, now: float) -> LimitRecord:
    """Lease `count` to an instance from now on; what runs there counts even when others have taken its place."""
    holders = {name: lease for name, lease in record.holders.items() if name != holder}
    if count:
        holders[holder] = Lease(count, now + LEASE_SECONDS)
    return msgspec.structs.replace(record, holders=holders)


def leased(record: LimitRecord, holder: str, now: float) -> int:
    """How many jobs an instance may run at once."""
    lease = record.holders.get(holder)
    return lease.count if lease is not None and lease.until > now else 0


def learn(record: LimitRecord, seconds: float) -> LimitRecord:
    """Take the length of a run into the average."""
    known = record.run_seconds or seconds
    return msgspec.structs.replace(record, run_seconds=known + _NEWEST * (seconds - known))


def _unleased(record: LimitRecord) -> bool:
    limit = record.limit.max_concurrent
    return limit is None or sum(lease.count for lease in record.holders.values()) < limit
