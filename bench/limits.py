"""What limits cost: calls to Table Storage, jobs put off, and how near to the limit the rate comes.

`python -m bench.limits [--seconds 8]` runs the product's limiter in several instances over one table in memory that
answers after 5 ms, as Table Storage does within its region. Each instance has 16 jobs in hand; a job that is put off
comes back when it is told to. `load` is how many jobs come a second, as a share of the limit.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import random
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from shared.config import Connection, Settings
from shared.jobs.admission import Refusal
from shared.jobs.limits import Limit
from shared.jobs.model import Job, JobState, Priority
from shared.service.limiter import Limiter
from shared.service.ports import ConflictError, PreconditionFailedError, Record

TABLE_SECONDS = 0.005
IN_HAND = 16
BEAT_SECONDS = 10


class MemoryRecords:
    """Just what the limiter asks of `Records`, counted."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._rows: dict[str, Record] = {}
        self._etags = itertools.count()

    async def get(self, kind: str, key: str) -> Record | None:
        await self._answer("read")
        return self._rows.get(kind + key)

    async def create(self, kind: str, key: str, value: Any) -> str:
        await self._answer("write")
        if kind + key in self._rows:
            raise ConflictError(key)
        return self._store(kind, key, value)

    async def replace(self, kind: str, key: str, value: Any, etag: str) -> str:
        await self._answer("write")
        if self._rows[kind + key].etag != etag:
            self.calls["conflict"] += 1
            raise PreconditionFailedError(key)
        return self._store(kind, key, value)

    async def _answer(self, call: str) -> None:
        self.calls[call] += 1
        await asyncio.sleep(TABLE_SECONDS)

    def _store(self, kind: str, key: str, value: Any) -> str:
        etag = str(next(self._etags))
        self._rows[kind + key] = Record(key, value, etag)
        return etag


class Load:
    """Jobs that come at a steady rate, and those that come back."""

    def __init__(self, rate: float) -> None:
        self._numbers = itertools.count()
        self._begin, self._rate, self._made = time.time(), rate, 0
        self._waiting: list[tuple[float, int, bool]] = []

    def next(self) -> tuple[int, bool] | None:
        """A job that is due, and whether it comes back from a line."""
        now = time.time()
        while self._made < (now - self._begin) * self._rate:
            self._made += 1
            self.put_off(self._begin + self._made / self._rate, next(self._numbers), returning=False)
        if not self._waiting or self._waiting[0][0] > now:
            return None
        _, number, returning = heapq.heappop(self._waiting)
        return number, returning

    def put_off(self, until: float, number: int, *, returning: bool) -> None:
        """Have a job come at a time."""
        heapq.heappush(self._waiting, (until, number, returning))


async def measure(limit: Limit, instances: int, load: float, run_seconds: float, seconds: float) -> str:
    """A row of the table."""
    records, counts = MemoryRecords(), Counter[str]()
    nowhere = Connection()
    settings = Settings(
        service_bus=nowhere, tables=nowhere, cosmos=nowhere, signalr=nowhere, job_type_limits={"work": limit}
    )
    capacity = limit.rate_per_second or (limit.max_concurrent or 0) / run_seconds
    jobs = Load(load * capacity)
    limiters = [
        Limiter(settings, records, lambda: datetime.now(UTC), random.Random(n), f"i{n}")  # type: ignore[arg-type] # noqa: S311
        for n in range(instances)
    ]

    async def hand(limiter: Limiter) -> None:
        while True:
            due = jobs.next()
            if due is None:
                await asyncio.sleep(0.01)
                continue
            number, returning = due
            answer = await limiter.take(_job(number), returning=returning, demand=1)
            if isinstance(answer, Refusal):
                counts["put off"] += 1
                jobs.put_off(answer.until.timestamp(), number, returning=answer.lines_up)
                continue
            await asyncio.sleep(max(0.0, answer.at.timestamp() - time.time()))
            counts["started"] += 1
            await asyncio.sleep(run_seconds)
            await limiter.give_back(_job(number))

    async def beat() -> None:
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            await asyncio.gather(*(limiter.renew() for limiter in limiters))

    tasks = [asyncio.create_task(hand(limiter)) for limiter in limiters for _ in range(IN_HAND)]
    tasks.append(asyncio.create_task(beat()))
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    started = counts["started"] or 1
    calls = records.calls
    name = f"{limit.rate_per_second:g}/s" if limit.rate_per_second else f"{limit.max_concurrent} at once"
    return (
        f"{name:>12} {instances:>9} {run_seconds:>6.2f} {load:>5.1f} {counts['started'] / seconds / capacity:>9.2f} "
        f"{(calls['read'] + calls['write']) / started:>11.2f} {(calls['read'] + calls['write']) / seconds:>11.1f} "
        f"{calls['conflict'] / max(1, calls['write']):>9.0%} {counts['put off'] / started:>8.2f}"
    )


def _job(number: int) -> Job:
    now = datetime.now(UTC)
    return Job(
        job_id=str(number),
        trace_id="",
        tenant="default",
        job_type="work",
        priority=Priority.MEDIUM,
        payload={},
        created_at=now,
        run_at=now,
        state=JobState.QUEUED,
        updated_at=now,
    )


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.limits", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8)
    seconds = parser.parse_args().seconds
    sys.stdout.write("       limit instances  run s  load used/limit calls/start  calls/s    conflicts put off\n")
    cases = [
        (Limit(rate_per_second=rate), instances, load, 0.02)
        for rate in (5, 50, 200)
        for instances, load in ((1, 0.5), (1, 2.0), (3, 0.5), (3, 2.0), (10, 2.0))
    ]
    cases += [
        (Limit(max_concurrent=10), instances, load, run_seconds)
        for instances, load, run_seconds in ((1, 2.0, 0.2), (3, 0.5, 0.2), (3, 2.0, 0.2), (3, 2.0, 1.0))
    ]
    for limit, instances, load, run_seconds in cases:
        sys.stdout.write(await measure(limit, instances, load, run_seconds, seconds) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
