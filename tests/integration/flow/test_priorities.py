"""The gate on a running stack: urgent jobs pass a flood, and no flood starves the others."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Iterator

import pytest

from tests.integration.flow.board import Board, runs, started, waits
from tests.integration.supervisor.running import RunningStack
from tests.services import ROOT

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(180)]

SLOTS = 4
AGEING = 1
#: How many messages of each of the four queues the host hands to the worker at most.
IN_HAND = json.loads((ROOT / "host.json").read_text())["extensions"]["serviceBus"]["maxConcurrentCalls"]
#: What a slot is taken for beside the job's own run: the claim, the result, the row; generous for a busy machine.
OVERHEAD = 1.0


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    directory = tmp_path_factory.mktemp("flow") / "data"
    stack = RunningStack(directory, env={"DTQ_SLOTS": str(SLOTS), "DTQ_AGEING_SECONDS": str(AGEING)})
    yield Board(stack.url)
    stack.stop()


def test_critical_jobs_pass_a_flood_of_low_ones(board: Board) -> None:
    low = board.submit("low", 0.02, count=300)
    critical = []
    for _ in range(40):
        critical += board.submit("critical", 0.02)
        time.sleep(0.05)  # they trickle in while the flood runs off
    low_waits = waits(board.ended("low", low, 120))
    critical_waits = waits(board.ended("critical", critical, 30))
    p95 = statistics.quantiles(critical_waits, n=20)[-1]
    assert p95 < statistics.median(low_waits) / 4


def test_low_jobs_are_served_under_a_flood_of_critical_ones_within_the_bound(board: Board) -> None:
    critical_ids = board.submit("critical", 0.2, count=120)
    low_ids = board.submit("low", 0.2, count=20)
    critical = board.ended("critical", critical_ids, 120)
    low = board.ended("low", low_ids, 120)
    longest = max(runs([*critical, *low])) + OVERHEAD
    in_hand = 3 * AGEING + (4 * IN_HAND - 1) * longest / SLOTS
    generations = len(low) // IN_HAND + 1
    assert max(waits(low)) <= generations * (in_hand + longest)
    last_critical = max(started(job) for job in critical)
    assert sum(started(job) < last_critical for job in low) >= len(low) / 2, "they waited for the flood to end"
    assert min(waits(low)) > AGEING, "they did not wait for the more urgent ones at all"
