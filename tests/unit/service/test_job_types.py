"""The catalogue: what holds a job type up is in it."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from shared.jobs.breaker import FIRST_OPEN, BreakerState, closed, opened
from shared.jobs.limits import Limit
from shared.service.flow_state import FLOW, MAX_AGE
from shared.service.job_types import BreakerView, JobTypeView, LimitsView, list_job_types
from shared.service.pause import Pause, pause_job_type
from shared.service.ports import TransientError
from tests.fakes import START
from tests.unit.service.world import World


async def catalogue(world: World) -> dict[str, JobTypeView]:
    world.clock.advance(MAX_AGE.total_seconds())
    return {each.name: each for each in await list_job_types(world.services)}


async def test_a_type_that_nothing_holds_up_says_so(world: World) -> None:
    found = (await catalogue(world))["work"]
    assert (found.paused, found.limits) == (None, LimitsView(None, None))
    assert found.breaker == BreakerView(BreakerState.CLOSED, None, None, "")


async def test_limits_are_those_in_force(world: World) -> None:
    limit = Limit(rate_per_second=2.5)
    world.settings = msgspec.structs.replace(world.settings, job_type_limits={"work": limit})
    world.services = world.instance("limited")
    found = await catalogue(world)
    assert found["work"].limits == LimitsView(2.5, None)
    assert found["sync_work"].limits == LimitsView(None, None)


async def test_a_pause_is_told_with_who_and_why_even_while_the_table_is_away(world: World) -> None:
    await pause_job_type(world.services, "work", {"reason": "too loud"}, "Ada")
    expected = Pause(START, "Ada", "too loud")
    assert (await catalogue(world))["work"].paused == expected
    world.faults.plant("records.list", TransientError("away"))
    assert (await catalogue(world))["work"].paused == expected


async def test_a_breaker_is_told_with_its_state_its_times_and_the_reason(world: World) -> None:
    breaker = opened(None, START, "5 of 5 calls failed", None)
    await world.records.put(FLOW, "breaker:work", breaker)
    until = START + FIRST_OPEN
    expected = BreakerView(BreakerState.OPEN, START, until, "5 of 5 calls failed")
    found = await catalogue(world)
    assert found["work"].breaker == expected
    assert found["sync_work"].breaker.state is BreakerState.CLOSED
    world.clock.now = until
    assert (await catalogue(world))["work"].breaker.state is BreakerState.HALF_OPEN
    await world.records.put(FLOW, "breaker:work", closed(until + timedelta(seconds=3)))
    expected = BreakerView(BreakerState.CLOSED, until + timedelta(seconds=3), None, "")
    assert (await catalogue(world))["work"].breaker == expected
