"""Limits and breakers over a real table: several instances at once, on its ETags and in its time."""

from __future__ import annotations

import asyncio
import time

import pytest

from shared.composition import utc_now
from shared.config import Connection, Settings
from shared.jobs.admission import Refusal
from shared.jobs.limits import GRACE, Limit
from shared.jobs.model import JobError, Priority
from shared.service.breakers import Breakers
from shared.service.flow_state import FlowState
from shared.service.limiter import Grant, Limiter
from shared.service.ports import Records
from tests.fakes import seeded
from tests.unit.examples import a_job

pytestmark = pytest.mark.xdist_group("ports")

INSTANCES = 4
#: A token that was good when it was asked for is used when the table has answered.
CALL_SECONDS = 0.5


def limiters(records: Records, tenant: str, limit: Limit) -> list[Limiter]:
    nowhere = Connection()
    settings = Settings(
        service_bus=nowhere, tables=nowhere, cosmos=nowhere, signalr=nowhere, job_type_limits={tenant: limit}
    )
    return [Limiter(settings, records, utc_now, seeded(number), f"i{number}") for number in range(INSTANCES)]


async def test_instances_that_ask_all_the_time_stay_within_the_rate_and_use_it(records: Records, tenant: str) -> None:
    rate, seconds = 40.0, 2.0
    used: list[float] = []

    async def busy(limiter: Limiter, number: int) -> None:
        returning = False
        while time.monotonic() < end:
            job = a_job(job_id=f"{number}-{len(used)}", job_type=tenant, priority=Priority.LOW)
            answer = await limiter.take(job, returning=returning, demand=2)
            returning = isinstance(answer, Refusal)
            at = answer.at if isinstance(answer, Grant) else answer.until
            await asyncio.sleep(min(1.0, (at - utc_now()).total_seconds()))
            if isinstance(answer, Grant):
                used.append(answer.at.timestamp())

    shared = limiters(records, tenant, Limit(rate_per_second=rate))
    end = time.monotonic() + seconds
    await asyncio.gather(*(busy(shared[number % INSTANCES], number) for number in range(3 * INSTANCES)))
    used.sort()
    for first, begin in enumerate(used):
        for last in range(first, len(used)):
            assert last - first + 1 <= rate * (used[last] - begin + GRACE + CALL_SECONDS) + 1.01
    assert len(used) >= rate * seconds / 2


async def test_instances_that_start_at_once_share_the_leases(records: Records, tenant: str) -> None:
    shared = limiters(records, tenant, Limit(max_concurrent=5))
    jobs = [a_job(job_id=f"j{number}", job_type=tenant) for number in range(20)]
    answers = await asyncio.gather(
        *(shared[number % INSTANCES].take(job, returning=False, demand=1) for number, job in enumerate(jobs))
    )
    granted = [number for number, answer in enumerate(answers) if isinstance(answer, Grant)]
    assert len(granted) == 5
    for number in granted:
        await shared[number % INSTANCES].give_back(jobs[number])
    await asyncio.gather(*(each.renew() for each in shared))
    again = await asyncio.gather(
        *(shared[number % INSTANCES].take(job, returning=True, demand=1) for number, job in enumerate(jobs))
    )
    assert sum(isinstance(answer, Grant) for answer in again) == 5


async def test_one_of_all_instances_probes(records: Records, tenant: str) -> None:
    flows = [FlowState(records, utc_now) for _ in range(INSTANCES)]
    shared = [Breakers(records, flow, utc_now, seeded(number), f"i{number}") for number, flow in enumerate(flows)]
    limited = JobError("provider_rate_limited", "It answered 429.", retryable=True)
    await shared[0].record(tenant, limited, 1.0, probe=False)
    refusal = await shared[1].admit(tenant)
    assert isinstance(refusal, Refusal)
    await asyncio.sleep(1.1)
    answers = await asyncio.gather(*(each.admit(tenant) for each in shared * 3))
    assert answers.count(True) == 1
    assert sum(isinstance(answer, Refusal) for answer in answers) == len(answers) - 1
    prober = next(each for each, answer in zip(shared * 3, answers, strict=True) if answer is True)
    await prober.record(tenant, None, None, probe=True)
    for flow in flows:
        flow.forget()
    assert [await each.admit(tenant) for each in shared] == [False] * INSTANCES
