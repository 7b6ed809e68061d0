"""Breakers over several instances that share records: what one learns holds for all, and one alone probes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.admission import Refusal
from shared.jobs.breaker import FIRST_OPEN, MIN_CALLS, PROBE_LEASE, BreakerRecord, BreakerState, state
from shared.jobs.model import JobError
from shared.service.breakers import Breakers, breaker_of
from shared.service.flow_state import MAX_AGE, FlowState
from shared.service.ports import PreconditionFailedError, TransientError
from tests.fakes import Clock, FakeRecords, Faults, seeded

DOWN = JobError("provider_error", "It answered 503.", retryable=True)
LIMITED = JobError("provider_rate_limited", "It answered 429.", retryable=True)
NOT_FOUND = JobError("not_found", "There is none.", retryable=False)


class Instances:
    """Some instances over one table."""

    def __init__(self, count: int = 3) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.records = FakeRecords(self.faults)
        self.flows = [FlowState(self.records, self.clock) for _ in range(count)]
        self.all = [
            Breakers(self.records, flow, self.clock, seeded(number), f"i{number}")
            for number, flow in enumerate(self.flows)
        ]

    async def open(self) -> None:
        for _ in range(MIN_CALLS):
            await self.all[0].record("quote", DOWN, None, probe=False)

    async def half_open(self) -> None:
        await self.open()
        self.clock.advance(FIRST_OPEN.total_seconds())

    async def stored(self) -> BreakerRecord | None:
        flow = FlowState(self.records, self.clock)
        return breaker_of(await flow.read(), "quote")

    async def state(self) -> BreakerState:
        return state(await self.stored(), self.clock())

    async def admit(self, number: int = 0) -> Refusal | bool:
        return await self.all[number].admit("quote")


@pytest.fixture
def instances() -> Instances:
    return Instances()


async def test_what_one_instance_learns_puts_off_the_jobs_of_all_and_of_that_type_alone(instances: Instances) -> None:
    assert [await instances.admit(number) for number in range(3)] == [False, False, False]
    await instances.open()
    instances.clock.advance(MAX_AGE.total_seconds())
    for number in range(3):
        refusal = await instances.admit(number)
        assert isinstance(refusal, Refusal)
        assert refusal.until >= instances.clock()
        assert not refusal.lines_up
        assert "quote" in refusal.reason
    assert await instances.all[1].admit("weather") is False


async def test_good_calls_and_a_few_bad_ones_leave_it_closed(instances: Instances) -> None:
    for error in [None, NOT_FOUND, None, None, None, DOWN, None, DOWN, DOWN, DOWN]:
        await instances.all[0].record("quote", error, None, probe=False)
    assert await instances.stored() is None


async def test_jobs_do_not_come_back_as_one_herd(instances: Instances) -> None:
    await instances.all[0].record("quote", LIMITED, 40.0, probe=False)
    refusals = [await instances.admit() for _ in range(200)]
    waits = [(each.until - instances.clock()).total_seconds() for each in refusals if isinstance(each, Refusal)]
    assert len(waits) == 200
    assert min(waits) >= 40
    quarters = [sum(40 + 5 * n <= wait < 45 + 5 * n for wait in waits) for n in range(4)]
    assert min(quarters) > 20, "spread over half of the time that it was open"
    assert sum(quarters) == 200


async def test_one_retry_after_opens_it_everywhere_for_as_long_as_it_says(instances: Instances) -> None:
    await instances.all[2].record("quote", LIMITED, 30.0, probe=False)
    stored = await instances.stored()
    assert stored is not None
    assert stored.until == instances.clock() + timedelta(seconds=30)
    assert "30 s" in stored.reason
    await instances.all[1].record("quote", LIMITED, 90.0, probe=False)
    stored = await instances.stored()
    assert stored is not None
    assert stored.until == instances.clock() + timedelta(seconds=90), "a longer wait is taken from a later call"
    await instances.all[1].record("quote", LIMITED, 0.5, probe=False)
    assert await instances.stored() == stored


async def test_of_all_jobs_that_come_when_it_is_half_open_one_probes(instances: Instances) -> None:
    await instances.half_open()
    answers = await asyncio.gather(*(instances.admit(number % 3) for number in range(30)))
    assert answers.count(True) == 1
    refusals = [answer for answer in answers if isinstance(answer, Refusal)]
    assert len(refusals) == 29
    assert all(refusal.until > instances.clock() for refusal in refusals)


async def test_a_good_probe_closes_it_for_all(instances: Instances) -> None:
    await instances.half_open()
    assert await instances.admit(1) is True
    await instances.all[1].record("quote", None, None, probe=True)
    instances.clock.advance(MAX_AGE.total_seconds())
    assert [await instances.admit(number) for number in range(3)] == [False, False, False]


async def test_a_bad_probe_opens_it_for_longer(instances: Instances) -> None:
    await instances.half_open()
    assert await instances.admit(1) is True
    await instances.all[1].record("quote", DOWN, None, probe=True)
    stored = await instances.stored()
    assert stored is not None
    assert stored.until == instances.clock() + 2 * FIRST_OPEN
    assert isinstance(await instances.admit(0), Refusal)


async def test_a_probe_that_tells_nothing_is_given_to_the_next_job(instances: Instances) -> None:
    await instances.half_open()
    assert await instances.admit(1) is True
    await instances.all[1].abandon("quote")
    assert await instances.admit(1) is True


async def test_a_dead_prober_holds_up_the_next_probe_for_its_lease_and_is_not_heard_after(
    instances: Instances,
) -> None:
    await instances.half_open()
    assert await instances.admit(1) is True
    instances.clock.advance(PROBE_LEASE.total_seconds() - 1)
    assert isinstance(await instances.admit(2), Refusal)
    instances.clock.advance(1)
    assert await instances.admit(2) is True
    await instances.all[1].record("quote", None, None, probe=True)
    assert await instances.state() is BreakerState.HALF_OPEN
    await instances.all[1].abandon("quote")
    instances.clock.advance(MAX_AGE.total_seconds())
    assert isinstance(await instances.admit(0), Refusal), "the probe is still the other's"


async def test_what_began_before_it_opened_neither_keeps_it_open_nor_opens_it_again(instances: Instances) -> None:
    await instances.half_open()
    for _ in range(MIN_CALLS + 3):
        await instances.all[0].record("quote", DOWN, None, probe=False)
    assert await instances.admit(0) is True
    await instances.all[0].record("quote", None, None, probe=True)
    instances.clock.advance(MAX_AGE.total_seconds())
    for _ in range(MIN_CALLS - 1):
        await instances.all[0].record("quote", DOWN, None, probe=False)
    assert await instances.state() is BreakerState.CLOSED


async def test_an_instance_that_did_not_open_it_counts_anew_after_it_too(instances: Instances) -> None:
    for _ in range(MIN_CALLS - 1):
        await instances.all[1].record("quote", DOWN, None, probe=False)
    await instances.half_open()
    await instances.all[1].record("quote", DOWN, None, probe=False)
    assert await instances.admit(0) is True
    await instances.all[0].record("quote", None, None, probe=True)
    instances.clock.advance(MAX_AGE.total_seconds())
    await instances.all[1].record("quote", DOWN, None, probe=False)
    assert await instances.state() is BreakerState.CLOSED


async def test_a_write_that_another_instance_overtook_is_made_again(instances: Instances) -> None:
    await instances.half_open()
    instances.faults.plant("records.replace", PreconditionFailedError("quote"), times=3)
    assert await instances.admit(0) is True


async def test_without_a_table_nothing_is_raised_and_nobody_probes(instances: Instances) -> None:
    away = TransientError("away", unknown_outcome=True)
    instances.faults.plant("", away, times=1000)
    assert await instances.admit(0) is False, "nothing is known of it"
    await instances.open()
    instances.faults.clear()
    assert await instances.stored() is None
    await instances.all[0].record("quote", DOWN, None, probe=False)
    assert await instances.state() is BreakerState.OPEN, "it opens at the next fault that can be written"
    instances.clock.advance(FIRST_OPEN.total_seconds())
    await instances.admit(1)  # reads the record
    await instances.all[1].abandon("quote")
    await instances.flows[0].read()
    instances.faults.plant("", away, times=1000)
    refusal = await instances.admit(0)
    assert isinstance(refusal, Refusal)
    assert refusal.until > instances.clock()
    await instances.all[0].record("quote", DOWN, None, probe=True)
    await instances.all[0].abandon("quote")


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["ask", "ask", "good", "bad", "none"]), st.floats(0, 20)),
        max_size=60,
    )
)
def test_there_is_never_more_than_one_probe_and_only_a_good_one_closes(steps: list[tuple[int, str, float]]) -> None:
    async def run() -> None:
        instances = Instances()
        await instances.half_open()
        probes: dict[int, object] = {}  # by instance, when it began
        for number, step, wait in steps:
            instances.clock.advance(wait)
            now = instances.clock()
            before = await instances.state()
            live = {who for who, began in probes.items() if now - began < PROBE_LEASE}  # type: ignore[operator]
            if step == "ask":
                answer = await instances.admit(number)
                if answer is True:
                    assert not live, "two probes at a time"
                    assert before is BreakerState.HALF_OPEN
                    probes = {number: now}
                elif answer is False:
                    assert before is BreakerState.CLOSED
            elif number in probes:
                del probes[number]
                match step:
                    case "good":
                        await instances.all[number].record("quote", None, None, probe=True)
                        assert await instances.state() is BreakerState.CLOSED
                        return
                    case "bad":
                        await instances.all[number].record("quote", DOWN, None, probe=True)
                        assert await instances.state() is BreakerState.OPEN
                    case "none":
                        await instances.all[number].abandon("quote")
                        assert await instances.state() is BreakerState.HALF_OPEN

    asyncio.run(run())
