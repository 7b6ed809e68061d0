"""The snapshot of pauses and breakers: how old it may be, and how often it is read."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

from shared.service.flow_state import FLOW, LOG_INTERVAL, MAX_AGE, FlowState
from shared.service.ports import Record, TransientError
from tests.fakes import Clock, FakeRecords, Faults


class CountingRecords(FakeRecords):
    """Counts the queries, and holds them while `held` is set."""

    def __init__(self, faults: Faults) -> None:
        super().__init__(faults)
        self.queries = 0
        self.found = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def list(self, kind: str, first: str = "", limit: int | None = None) -> list[Record]:
        self.queries += 1
        found = await super().list(kind, first, limit)
        self.found.set()
        await self.go_on.wait()
        return found


class Snapshot:
    def __init__(self) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.records = CountingRecords(self.faults)
        self.state = FlowState(self.records, self.clock)


@pytest.fixture
def snapshot() -> Snapshot:
    return Snapshot()


async def test_it_is_read_again_after_a_second_and_not_before(snapshot: Snapshot) -> None:
    await snapshot.records.put(FLOW, "queue:low", {"by": "me"})
    assert await snapshot.state.read() == {"queue:low": {"by": "me"}}
    await snapshot.records.delete(FLOW, "queue:low")
    snapshot.clock.now += MAX_AGE - timedelta(microseconds=1)
    assert await snapshot.state.read() == {"queue:low": {"by": "me"}}
    snapshot.clock.now += timedelta(microseconds=1)
    assert await snapshot.state.read() == {}
    assert snapshot.records.queries == 2


async def test_a_clock_that_goes_back_does_not_make_it_last(snapshot: Snapshot) -> None:
    await snapshot.state.read()
    snapshot.clock.now -= timedelta(hours=1)
    await snapshot.state.read()
    assert snapshot.records.queries == 2


async def test_all_who_ask_at_once_share_one_query(snapshot: Snapshot) -> None:
    await snapshot.records.put(FLOW, "queue:low", 1)
    answers = await asyncio.gather(*(snapshot.state.read() for _ in range(50)))
    assert answers == [{"queue:low": 1}] * 50
    assert snapshot.records.queries == 1


async def test_one_who_is_cancelled_does_not_spoil_it_for_the_others(snapshot: Snapshot) -> None:
    await snapshot.records.put(FLOW, "queue:low", 1)
    snapshot.records.go_on.clear()
    first, second = (asyncio.create_task(snapshot.state.read()) for _ in range(2))
    await snapshot.records.found.wait()
    first.cancel()
    snapshot.records.go_on.set()
    assert await second == {"queue:low": 1}
    assert snapshot.records.queries == 1


async def test_forgetting_makes_the_next_read_ask_even_while_one_is_under_way(snapshot: Snapshot) -> None:
    snapshot.records.go_on.clear()
    before = asyncio.create_task(snapshot.state.read())
    await snapshot.records.found.wait()
    await snapshot.records.put(FLOW, "queue:low", 1)
    snapshot.state.forget()
    snapshot.records.go_on.set()
    assert await snapshot.state.read() == {"queue:low": 1}
    await before
    assert await snapshot.state.read() == {"queue:low": 1}
    assert snapshot.records.queries == 2


async def test_when_the_table_is_away_the_last_known_holds_and_the_log_stays_quiet(
    snapshot: Snapshot, caplog: pytest.LogCaptureFixture
) -> None:
    await snapshot.records.put(FLOW, "queue:low", 1)
    await snapshot.state.read()
    caplog.set_level(logging.WARNING, "shared.service.flow_state")
    snapshot.faults.plant("records.list", TransientError("away"), times=31)
    for _ in range(30):
        snapshot.clock.now += MAX_AGE
        assert await snapshot.state.read() == {"queue:low": 1}
    assert len(caplog.records) == 1
    snapshot.clock.now += LOG_INTERVAL
    await snapshot.state.read()
    assert len(caplog.records) == 2


async def test_a_table_that_hangs_holds_up_nobody_for_long(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.service.flow_state.PATIENCE", 0.01)
    snapshot.records.go_on.clear()
    async with asyncio.timeout(10):
        assert await snapshot.state.read() == {}
        assert await snapshot.state.read() == {}
    assert snapshot.records.queries == 1
    snapshot.records.go_on.set()
    await asyncio.sleep(0)
