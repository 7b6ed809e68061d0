"""Limits over several instances that share records: exact whatever the order, and nobody fails by them."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config import Connection, Settings
from shared.jobs.admission import Refusal
from shared.jobs.limits import GRACE, LEASE_SECONDS, Limit, LimitRecord
from shared.jobs.model import Job, JobState, Priority
from shared.service import shared_limit
from shared.service.limiter import Grant, Limiter
from shared.service.ports import PreconditionFailedError, Record, TransientError
from tests.fakes import START, Clock, FakeRecords, Faults, seeded

AWAY = TransientError("away", unknown_outcome=True)


def job(number: int = 0, priority: Priority = Priority.LOW, job_type: str = "quote") -> Job:
    return Job(
        job_id=f"j{number}",
        trace_id="t",
        tenant="default",
        job_type=job_type,
        priority=priority,
        payload={},
        created_at=START,
        run_at=START,
        state=JobState.QUEUED,
        updated_at=START,
    )


class Counting(FakeRecords):
    """Records that count the calls to them."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self.reads = self.writes = 0

    async def get(self, kind: str, key: str) -> Record | None:
        self.reads += 1
        return await super().get(kind, key)

    async def replace(self, kind: str, key: str, value: object, etag: str) -> str:
        self.writes += 1
        return await super().replace(kind, key, value, etag)


class Instances:
    """Some instances over one table."""

    def __init__(self, limit: Limit | None = None, tenant: Limit | None = None, count: int = 3) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.records = Counting(self.faults)
        nowhere = Connection()
        self.settings = Settings(
            service_bus=nowhere,
            tables=nowhere,
            cosmos=nowhere,
            signalr=nowhere,
            job_type_limits={"quote": limit or Limit()},
            tenant_limits=tenant or Limit(),
        )
        self.all = [
            Limiter(self.settings, self.records, self.clock, seeded(number), f"i{number}") for number in range(count)
        ]

    async def take(self, number: int = 0, which: Job | None = None, *, returning: bool = False) -> Grant | Refusal:
        return await self.all[number].take(which or job(), returning=returning, demand=1)

    async def granted(self, number: int = 0, which: Job | None = None) -> bool:
        return isinstance(await self.take(number, which), Grant)

    async def record(self, key: str = "job_type:quote") -> LimitRecord:
        found = await self.records.get("limit", key)
        return msgspec.convert(found.value, LimitRecord) if found else LimitRecord()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_limit, "LONGEST_SPREAD", 0)
    monkeypatch.setattr(shared_limit, "LINGER_SECONDS", 0)


async def settled() -> None:
    """Let the tasks that give leases back have their turn."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_job_without_a_limit_starts_now_and_asks_nobody() -> None:
    instances = Instances()
    answer = await instances.take()
    await instances.all[0].give_back(job())
    await instances.all[0].renew()
    assert answer == Grant(START)
    assert (instances.records.reads, instances.records.writes) == (0, 0)


async def test_a_second_of_tokens_is_free_after_a_rest_and_who_comes_next_lines_up_in_order() -> None:
    instances = Instances(Limit(rate_per_second=5))
    answers = [await instances.take(number % 3, job(number)) for number in range(14)]
    grants = [answer.at for answer in answers if isinstance(answer, Grant)]
    assert [round((at - START).total_seconds(), 3) for at in grants[:10]] == [0] * 6 + [0.2, 0.4, 0.6, 0.8]
    places = [answer for answer in answers if isinstance(answer, Refusal)]
    waits = [(each.until - START).total_seconds() for each in places]
    assert waits[0] > 1
    assert [round(later - earlier, 3) for earlier, later in itertools.pairwise(waits)] == [0.2] * (len(waits) - 1)
    assert len(grants) + len(waits) == 14
    assert {each.lines_up for each in places} == {True}
    assert {each.reason for each in places} == {"Waits for the limit of quote"}


async def test_a_more_urgent_job_does_not_wait_behind_the_line_of_less_urgent_ones() -> None:
    instances = Instances(Limit(rate_per_second=5))
    while await instances.granted():
        pass
    for _ in range(50):
        assert not await instances.granted()
    instances.clock.advance(0.5)
    assert not await instances.granted(1, job(priority=Priority.LOW))
    assert await instances.granted(1, job(priority=Priority.HIGH))


async def test_who_comes_back_from_the_line_takes_a_token_at_once() -> None:
    instances = Instances(Limit(rate_per_second=5))
    while await instances.granted():
        pass
    refusals = [await instances.take(number % 3, job(number)) for number in range(20)]
    for number, refusal in enumerate(refusals):
        assert isinstance(refusal, Refusal)
        instances.clock.now = refusal.until
        answer = await instances.take(number % 2, job(number), returning=True)
        assert isinstance(answer, Grant), number
        assert answer.at <= refusal.until


async def test_jobs_that_ask_at_once_share_a_write() -> None:
    instances = Instances(Limit(rate_per_second=1))
    answers = await asyncio.gather(*(instances.take(0, job(number)) for number in range(40)))
    assert len({answer.until for answer in answers if isinstance(answer, Refusal)}) == 37
    assert instances.records.writes <= 1, "the first creates the record, the second writes for all others"


async def test_the_most_urgent_of_those_who_ask_at_once_is_first() -> None:
    instances = Instances(Limit(rate_per_second=0.1))
    first = asyncio.create_task(instances.take(0, job(0)))
    await asyncio.sleep(0)
    low, high = await asyncio.gather(
        instances.take(0, job(1)), instances.take(0, job(2, Priority.HIGH)), return_exceptions=False
    )
    await first
    assert isinstance(low, Refusal)
    assert isinstance(high, Refusal)
    assert high.until < low.until


async def test_tokens_are_fetched_ahead_for_those_who_wait_here_as_many_as_are_soon_used() -> None:
    instances = Instances(Limit(rate_per_second=100))
    for number in range(400):
        answer = await instances.all[0].take(job(number), returning=False, demand=16)
        assert isinstance(answer, Grant)
        instances.clock.advance(0.02)
    assert instances.records.writes < 100, "12 tokens a write, at 50 jobs a second"
    before = instances.records.writes
    for number in range(20):
        await instances.all[1].take(job(number), returning=False, demand=1)
        instances.clock.advance(0.02)
    assert instances.records.writes - before >= 19, "nothing is fetched that nobody waits for"


async def test_what_a_failed_write_would_have_fetched_is_not_used() -> None:
    instances = Instances(Limit(rate_per_second=100))
    used = []
    for number in range(600):
        if number % 5 == 0:
            instances.faults.plant("records.replace", PreconditionFailedError("k"), times=2)
        answer = await instances.all[0].take(job(number, Priority.CRITICAL), returning=True, demand=16)
        if isinstance(answer, Grant):
            used.append(answer.at)
        instances.clock.advance(0.005)
    assert len(used) <= 100 * ((used[-1] - used[0]).total_seconds() + GRACE) + 1.01


async def test_an_instance_that_is_alone_reads_once() -> None:
    instances = Instances(Limit(rate_per_second=5))
    for number in range(20):
        await instances.take(0, job(number))
        instances.clock.advance(0.2)
    assert instances.records.reads <= 2


@settings(max_examples=60)
@given(
    rate=st.floats(0.5, 20),
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.floats(0, 0.7), st.integers(1, 6), st.sampled_from(["", "conflict", "lost"])),
        min_size=1,
        max_size=40,
    ),
)
def test_no_window_has_more_than_the_rate_and_a_second_more_over_any_order_of_instances_and_failures(
    rate: float, steps: list[tuple[int, float, int, str]]
) -> None:
    async def run() -> list[datetime]:
        instances = Instances(Limit(rate_per_second=rate))
        used = []
        for number, wait, count, trouble in steps:
            instances.clock.advance(wait)
            if trouble == "conflict":
                instances.faults.plant("records.replace", PreconditionFailedError("k"), times=2)
            if trouble == "lost":
                instances.faults.plant("records.replace", AWAY, after=True)
            answers = await asyncio.gather(
                *(
                    instances.all[(number + each) % 3].take(job(each), returning=each % 2 == 0, demand=count)
                    for each in range(count)
                )
            )
            instances.faults.clear()
            used += [answer.at for answer in answers if isinstance(answer, Grant)]
        return sorted(used)

    used = asyncio.run(run())
    for first, begin in enumerate(used):
        for last in range(first, len(used)):
            seconds = (used[last] - begin).total_seconds()
            assert last - first + 1 <= rate * (seconds + GRACE) + 1.01


@settings(max_examples=60)
@given(
    limit=st.integers(1, 5),
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["take", "take", "end", "renew"]), st.floats(0, 6), st.booleans()),
        min_size=1,
        max_size=60,
    ),
)
def test_never_more_run_than_the_limit_while_their_instances_renew(
    limit: int, steps: list[tuple[int, str, float, bool]]
) -> None:
    async def run() -> None:
        instances = Instances(Limit(max_concurrent=limit))
        running: list[tuple[int, Job]] = []
        for index, (number, step, wait, conflict) in enumerate(steps):
            instances.clock.advance(wait)
            if conflict:
                instances.faults.plant("records.replace", PreconditionFailedError("k"))
            if step == "take":
                asked = [((number + each) % 3, job(3 * index + each)) for each in range(3)]
                answers = await asyncio.gather(*(instances.take(*each) for each in asked))
                granted = [isinstance(answer, Grant) for answer in answers]
                running += itertools.compress(asked, granted)
            elif step == "end" and running:
                await end(instances, running.pop(0))
            for limiter in instances.all:  # the heartbeat
                await limiter.renew()
            instances.faults.clear()
            assert len(running) <= limit
        for each in running:
            await end(instances, each)
        assert (await instances.record()).holders == {}

    async def end(instances: Instances, ended: tuple[int, Job]) -> None:
        number, which = ended
        await instances.all[number].give_back(which)
        await settled()

    asyncio.run(run())


async def test_at_most_as_many_run_as_may_over_all_instances_and_the_others_line_up() -> None:
    instances = Instances(Limit(max_concurrent=2))
    answers = [await instances.take(number % 3, job(number)) for number in range(6)]
    assert [isinstance(answer, Grant) for answer in answers] == [True, True, False, False, False, False]
    assert all(answer.lines_up for answer in answers if isinstance(answer, Refusal))
    await instances.all[1].give_back(job(1))
    await settled()
    assert isinstance(await instances.take(2, job(2), returning=True), Grant)
    assert not isinstance(await instances.take(0, job(3), returning=True), Grant)


async def test_the_leases_of_an_instance_that_died_run_out_and_those_that_are_renewed_do_not() -> None:
    instances = Instances(Limit(max_concurrent=2))
    assert await instances.granted(0, job(0))
    assert await instances.granted(1, job(1))
    for _ in range(3):
        instances.clock.advance(LEASE_SECONDS / 3 + 0.1)
        await instances.all[1].renew()
    assert await instances.granted(2, job(2)), "the first has not renewed"
    assert not await instances.granted(2, job(3)), "the second has"


async def test_what_ran_while_its_lease_ran_out_counts_again_once_it_is_renewed() -> None:
    instances = Instances(Limit(max_concurrent=1))
    assert await instances.granted(0, job(0))
    instances.clock.advance(LEASE_SECONDS + 1)
    await instances.all[0].renew()
    assert not await instances.granted(1, job(1))


async def test_the_next_job_of_an_instance_uses_its_lease_without_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_limit, "LINGER_SECONDS", 60)
    instances = Instances(Limit(max_concurrent=1))
    for number in range(10):
        assert await instances.granted(0, job(number))
        await instances.all[0].give_back(job(number))
    assert instances.records.writes == 0, "one call created the record"
    await instances.all[0].renew()
    assert await instances.granted(1, job(99)), "the heartbeat gives back what is not used"


async def test_giving_back_what_was_not_taken_changes_nothing() -> None:
    instances = Instances(Limit(max_concurrent=1))
    assert await instances.granted(0, job(0))
    await instances.all[0].give_back(job(5))
    await instances.all[0].give_back(job(0))
    await instances.all[0].give_back(job(0))
    await settled()
    assert await instances.granted(1, job(1))
    assert not await instances.granted(0, job(2))


async def test_a_tenants_limit_holds_over_all_job_types_and_what_it_refuses_burns_no_token_of_the_type() -> None:
    instances = Instances(Limit(rate_per_second=1, max_concurrent=9), tenant=Limit(max_concurrent=1))
    assert await instances.granted(0, job(7))  # whose token lay a second back, and would not last
    await instances.all[0].give_back(job(7))
    assert await instances.granted(0, job(0, job_type="weather"))
    refusal = await instances.take(0, job(1))
    assert isinstance(refusal, Refusal)
    assert refusal.reason == "Waits for the limit of tenant default"
    await settled()
    assert (await instances.record()).holders == {}
    await instances.all[0].give_back(job(0, job_type="weather"))
    await settled()
    instances.clock.now = refusal.until
    before = (await instances.record()).next
    assert isinstance(await instances.take(0, job(1), returning=True), Grant)
    assert (await instances.record()).next == before, "the token of the first try was used"


@pytest.mark.parametrize("turns", range(6))
async def test_a_job_that_is_cancelled_while_it_asks_holds_nothing(turns: int) -> None:
    instances = Instances(Limit(max_concurrent=1))
    tasks = [asyncio.create_task(instances.take(0, job(number))) for number in range(2)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(answers[0], Grant):
        await instances.all[0].give_back(job(0))
    await instances.all[0].renew()
    await settled()
    assert await instances.granted(1, job(2, Priority.HIGH))


@pytest.mark.parametrize("call", ["records.get", "records.create"])
async def test_while_the_table_is_away_jobs_are_put_off_for_seconds_and_keep_their_turn(call: str) -> None:
    instances = Instances(Limit(rate_per_second=5))
    instances.faults.plant(call, AWAY)
    answers = await asyncio.gather(instances.take(0, job(0)), instances.take(0, job(1), returning=True))
    for answer, returning in zip(answers, (False, True), strict=True):
        assert isinstance(answer, Refusal)
        assert timedelta(seconds=1) < answer.until - START < timedelta(seconds=10)
        assert answer.lines_up is returning
    assert await instances.granted(0, job(0))


async def test_a_write_whose_outcome_is_unknown_costs_tokens_and_never_gives_more() -> None:
    instances = Instances(Limit(rate_per_second=1, max_concurrent=1))
    instances.faults.plant("records.create", AWAY, after=True)
    assert not await instances.granted(0, job(0))
    assert not await instances.granted(1, job(1)), "the lease was written"
    instances.clock.advance(LEASE_SECONDS)
    assert await instances.granted(1, job(1))


async def test_a_lease_that_was_written_though_nobody_said_so_is_given_back_at_the_next_heartbeat() -> None:
    instances = Instances(Limit(max_concurrent=1))
    instances.faults.plant("records.create", AWAY, after=True)
    assert not await instances.granted(0, job(0))
    await instances.all[0].renew()
    assert await instances.granted(1, job(1, Priority.HIGH))


@pytest.mark.parametrize("turns", range(5))
async def test_a_job_that_asks_while_leases_are_given_back_does_not_use_them(
    turns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_limit, "LINGER_SECONDS", 60)
    instances = Instances(Limit(max_concurrent=2))
    for number in range(2):
        assert await instances.granted(0, job(number))
    for number in range(2):
        await instances.all[0].give_back(job(number))
    giving_back = asyncio.create_task(instances.all[0].renew())
    for _ in range(turns):
        await asyncio.sleep(0)
    granted = [await instances.granted(0, job(5))]
    await giving_back
    granted += [await instances.granted(1, job(number)) for number in (6, 7)]
    assert sum(granted) == 2


async def test_when_others_write_all_the_time_jobs_are_put_off() -> None:
    instances = Instances(Limit(rate_per_second=5))
    assert await instances.granted()
    instances.faults.plant("records.replace", PreconditionFailedError("k"), times=shared_limit.TRIES)
    refusal = await instances.take(1, job(1))
    assert isinstance(refusal, Refusal)
    assert await instances.granted(1, job(1))


async def test_a_heartbeat_survives_a_table_that_is_away() -> None:
    instances = Instances(Limit(max_concurrent=1))
    assert await instances.granted()
    instances.faults.plant("", AWAY, times=10)
    await instances.all[0].renew()
    instances.faults.clear()
    assert not await instances.granted(1, job(1))
