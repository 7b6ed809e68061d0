"""One limit that all instances share, as one instance keeps it: what it holds of it, and how it gets more."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

from shared.jobs.admission import Refusal
from shared.jobs.limits import (
    GRACE,
    Limit,
    LimitRecord,
    Line,
    hold,
    is_behind,
    learn,
    leased,
    let_in,
    line_up,
    tidy,
)
from shared.service.ports import ConflictError, PreconditionFailedError, Records, TransientError
from shared.service.tracing import background_task

logger = logging.getLogger(__name__)

#: The kind of the records: `job_type:<name>` and `tenant:<tenant>`.
KIND = "limit"
#: How often a record is written while others write it too, before the jobs that ask are put off.
TRIES = 8
#: Who finds that others write too waits before each write, in seconds at random up to a bound that doubles with every
#: conflict and halves with every success. Jobs that ask meanwhile share the write.
SHORTEST_SPREAD, LONGEST_SPREAD = 0.005, 0.1
#: Jobs that ask while the record cannot be had come back after so many seconds, spread evenly.
UNKNOWN_SECONDS = (2.0, 5.0)
#: Leases that no job uses are given back after so many seconds: the next job may want them.
LINGER_SECONDS = 0.05
#: Tokens are fetched ahead in blocks, as many as this instance has used of late in a second divided by this.
BLOCKS_A_SECOND = 4
#: So many lengths of runs are kept until the next write tells the others.
MAX_LENGTHS = 20


@dataclass(eq=False)
class _Ask:
    """A job that waits for its answer: a token's time, or a refusal."""

    job_id: str
    line: Line
    demand: int
    answer: float | Refusal | None = None


class SharedLimit:
    """A limit, kept exactly within this instance and, by conditional writes of one record, over all of them.

    Jobs that ask at the same time share one write. What was fetched ahead is given out without any.
    """

    def __init__(
        self,
        records: Records,
        key: str,
        limit: Limit,
        clock: Callable[[], datetime],
        rng: random.Random,
        instance_id: str,
    ) -> None:
        self._records = records
        self._key = key
        self._of = key.replace("job_type:", "").replace(":", " ")
        self._limit = limit
        self._clock = clock
        self._rng = rng
        self._me = instance_id
        self._record = LimitRecord()
        self._etag = ""
        self._alone = False
        self._unsure = False
        self._spread = 0.0
        self._lock = asyncio.Lock()
        self._asks: list[_Ask] = []
        self._tokens: deque[float] = deque()
        self._used: deque[float] = deque()
        self._running: dict[str, list[float]] = {}
        self._lengths: deque[float] = deque(maxlen=MAX_LENGTHS)
        self._lingering: asyncio.Task[None] | None = None

    @property
    def running(self) -> int:
        """How many jobs run here under the limit."""
        return sum(map(len, self._running.values()))

    async def take(self, job_id: str, line: Line, demand: int) -> float | Refusal:
        """A token and a lease: the time from which the job may start, at most a second ahead. See `Limiter.take`."""
        token = None if self._lock.locked() else self._at_hand(line)
        if token is not None:
            self._start(job_id)
            return token
        ask = _Ask(job_id, line, demand)
        self._asks.append(ask)
        try:
            async with self._lock:
                if ask.answer is None:
                    await self._exchange()
        except asyncio.CancelledError:
            if ask in self._asks:
                self._asks.remove(ask)
            elif isinstance(ask.answer, float):
                self.put_back(job_id, ask.answer)
            raise
        assert ask.answer is not None  # noqa: S101 - for mypy: an exchange answers everybody
        return ask.answer

    def put_back(self, job_id: str, token: float) -> None:
        """The job does not start after all."""
        if self._limit.rate_per_second:
            self._tokens.appendleft(token)
        self._end(job_id)

    def release(self, job_id: str) -> None:
        """The job does not run any more."""
        started = self._end(job_id)
        if started is not None:
            self._lengths.append(self._now() - started)

    async def renew(self) -> None:
        """Keep the leases of what runs, give back the others."""
        async with self._lock:
            if self._unsure or self._me in self._record.holders:
                await self._exchange()

    def _at_hand(self, line: Line) -> float | None:
        """A token and a lease that are here already."""
        now = self._now()
        if is_behind(self._record, line, now):
            return None
        if self._limit.max_concurrent and leased(self._record, self._me, now) <= self.running:
            return None
        if not self._limit.rate_per_second:
            return now
        self._drop_stale_tokens(now)
        return self._tokens.popleft() if self._tokens else None

    def _start(self, job_id: str) -> None:
        self._used.append(self._now())
        self._running.setdefault(job_id, []).append(self._now())

    def _end(self, job_id: str) -> float | None:
        started = self._running.get(job_id)
        if started is None:
            return None
        began = started.pop()
        if not started:
            del self._running[job_id]
        if self._limit.max_concurrent and self._lingering is None:
            self._lingering = background_task(self._give_back_spare())
        return began

    async def _give_back_spare(self) -> None:
        await asyncio.sleep(LINGER_SECONDS)
        async with self._lock:
            self._lingering = None
            if leased(self._record, self._me, self._now()) > self.running:
                await self._exchange()

    async def _exchange(self) -> None:
        """Answer everybody who asks, and tell the others what runs here, by one conditional write."""
        for _ in range(TRIES):
            if self._spread:
                await asyncio.sleep(self._spread * self._rng.random())
            try:
                if not self._alone:
                    await self._read()
                await self._write()
            except (ConflictError, PreconditionFailedError):
                self._alone = False
                self._spread = min(LONGEST_SPREAD, max(SHORTEST_SPREAD, 2 * self._spread))
            except TransientError as exc:
                self._alone = False
                logger.warning("the limit %s cannot be had, its jobs are put off: %s", self._key, exc)
                break
            else:
                self._spread = self._spread / 2 if self._spread > SHORTEST_SPREAD else 0.0
                return
        for ask in self._asks:
            until = self._clock() + timedelta(seconds=self._rng.uniform(*UNKNOWN_SECONDS))
            reason = f"Waits until the limit of {self._of} can be read"
            ask.answer = Refusal(until, reason, ask.line.returning)
        self._asks.clear()

    async def _read(self) -> None:
        found = await self._records.get(KIND, self._key)
        etag = found.etag if found else ""
        # Who finds the record as it left it writes the next time without a look.
        self._alone = etag == self._etag
        self._etag = etag
        self._record = msgspec.convert(found.value, LimitRecord) if found else LimitRecord()

    async def _write(self) -> None:
        now = self._now()
        record = tidy(self._record, self._limit, now)
        for seconds in self._lengths:
            record = learn(record, seconds)
        if self._limit.max_concurrent:
            record = hold(record, self._me, self.running, now)
        self._drop_stale_tokens(now)
        tokens = deque(self._tokens)
        answers: list[tuple[_Ask, float | Refusal]] = []
        for ask in sorted(self._asks, key=lambda ask: ask.line.rank):
            record, answer = self._answer(record, ask.line, tokens, now)
            answers.append((ask, answer))
        if answers:
            record = self._fetch_ahead(record, [ask for ask, _ in answers], tokens, now)
        value = msgspec.to_builtins(record)
        self._unsure = True
        if self._etag:
            self._etag = await self._records.replace(KIND, self._key, value, self._etag)
        else:
            self._etag = await self._records.create(KIND, self._key, value)
        self._unsure = False
        self._record, self._tokens = record, tokens
        self._lengths.clear()
        for ask, answer in answers:
            if ask in self._asks:  # who was cancelled meanwhile leaves a token and a lease to the next
                self._asks.remove(ask)
                ask.answer = answer
                if isinstance(answer, float):
                    self._start(ask.job_id)

    def _answer(
        self, record: LimitRecord, line: Line, tokens: deque[float], now: float
    ) -> tuple[LimitRecord, float | Refusal]:
        admitted = let_in(record, line, self._me, now, tokens[0] if tokens else None)
        if admitted is not None:
            if tokens:
                tokens.popleft()
            return admitted
        record, place = line_up(record, line, now)
        until = datetime.fromtimestamp(place, UTC)
        return record, Refusal(until, f"Waits for the limit of {self._of}", lines_up=True)

    def _fetch_ahead(self, record: LimitRecord, asks: list[_Ask], tokens: deque[float], now: float) -> LimitRecord:
        """Take tokens and leases for the jobs that will ask next, no more than this instance soon uses."""
        while self._used and self._used[0] < now - 1:
            self._used.popleft()
        waiting = max(ask.demand for ask in asks) - len(asks)
        for _ in range(min(waiting, len(self._used) // BLOCKS_A_SECOND - len(asks))):
            admitted = let_in(record, asks[-1].line, self._me, now)
            if admitted is None:
                break
            record, token = admitted
            if self._limit.rate_per_second:
                tokens.append(token)
        return record

    def _drop_stale_tokens(self, now: float) -> None:
        while self._tokens and self._tokens[0] < now - GRACE:
            self._tokens.popleft()

    def _now(self) -> float:
        return self._clock().timestamp()
