"""The simulation keeps the rules that it was given, and shows what the explanation says of it."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import msgspec
import pytest

from shared.jobs import ids
from tests.services import ROOT
from tools.scale.__main__ import SCENARIOS, table
from tools.scale.ceilings import SHARDS, ceiling_table
from tools.scale.picture import draw
from tools.scale.simulation import (
    CREDITS_A_SECOND,
    READY_SECONDS,
    SCALE_INTERVAL,
    SCALE_STEP,
    Outcome,
    Scenario,
    simulate,
)

SMALL = Scenario(name="small", jobs=6_000, submit_rate=3_000, warm=1)


@pytest.fixture(scope="module")
def small() -> Outcome:
    return simulate(SMALL)


def test_every_job_runs_once_and_none_before_it_was_submitted(small: Outcome) -> None:
    assert len(small.waits) == SMALL.jobs
    assert small.samples[-1].completed == SMALL.jobs
    assert min(small.waits) >= 0


def test_no_second_spends_more_credits_than_the_namespace_has(small: Outcome) -> None:
    assert sum(small.credits.values()) == 2 * SMALL.jobs, "a send and a receive each"
    assert max(small.credits.values()) <= CREDITS_A_SECOND * 1.2, "a second's worth, and the grant that was left over"
    assert small.seconds >= 2 * SMALL.jobs / CREDITS_A_SECOND


def test_instances_are_added_by_four_at_a_time(small: Outcome) -> None:
    for sample in small.samples:
        evaluations = sample.second // SCALE_INTERVAL
        assert sample.instances <= 1 + SCALE_STEP * evaluations
    assert small.peak_instances > 1


def test_the_same_seed_tells_the_same_story(small: Outcome) -> None:
    assert simulate(SMALL) == small


def test_from_zero_every_job_waits_for_the_first_instance() -> None:
    cold = simulate(Scenario(name="cold", jobs=100, submit_rate=1_000, cold_seconds=60))
    assert min(cold.waits) > 60 - 1
    warm = simulate(Scenario(name="warm", jobs=100, submit_rate=1_000, warm=1))
    assert max(warm.waits) < SCALE_INTERVAL + READY_SECONDS[1]


def test_where_credits_bind_a_second_namespace_helps_and_where_instances_do_it_does_not() -> None:
    many = Scenario(name="many", jobs=8_000, submit_rate=4_000, warm=60)
    one, two = simulate(many), simulate(msgspec.structs.replace(many, namespaces=2))
    assert two.seconds < 0.7 * one.seconds
    slow = Scenario(name="slow", jobs=800, submit_rate=4_000, warm=1, max_instances=1, run_seconds=1)
    alone, paired = simulate(slow), simulate(msgspec.structs.replace(slow, namespaces=2))
    assert abs(paired.seconds - alone.seconds) < 0.1 * alone.seconds


def test_the_picture_and_the_table_show_every_scenario(small: Outcome) -> None:
    root = ET.fromstring(draw([small, small]))  # noqa: S314 - our own
    lines = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert len(lines) == 2 * 3
    assert table([small]).splitlines()[-1].startswith("| small | ")
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS) <= 4, "there are four colours"


def test_the_explanation_shows_the_sums_as_they_come_out() -> None:
    assert ceiling_table(0.5) in (ROOT / "docs/explanation/scale.md").read_text()
    assert SHARDS == ids.SHARDS
