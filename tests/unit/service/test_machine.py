"""Whatever happens in whatever order, an accepted job ends, once, by legal steps, and its result stays what it is.

Hypothesis writes programs of submits, deliveries, crashes at any call, services that do not answer, duplicates, lost
writes of the table and rounds of the janitor; then everything works again, and the promises are checked.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.errors import UnavailableError
from shared.jobs import JobContext, PermanentError, RetryableError, SnoozeJob
from shared.jobs.model import JobState, ResultDocument
from shared.jobs.states import TERMINAL, TRANSITIONS
from shared.service.ports import TransientError
from shared.service.repair import GRACE, repair
from shared.service.submit import submit
from tests.fakes import Crash, Write
from tests.unit.service.world import LEASE_SECONDS, TRACE, Work, World

T = TypeVar("T")

INSTANCES = ("one", "two")
#: What a handler does at each of its calls; after these it succeeds.
SCRIPTS = st.lists(st.sampled_from(["retry", "fail", "snooze", "crash", "slow", "frozen"]), max_size=4)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of failures that are meant: their log lines would take most of the time."""
    caplog.set_level(logging.CRITICAL, logger="shared")


class Life(RuleBasedStateMachine):
    """The whole service and what can befall it."""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self.world = World()
        self.world.handler = self.handle
        self.scripts: dict[str, list[str]] = {}
        self.accepted: set[str] = set()
        #: Jobs with a write that the table forgot: their handler may run once more than the row tells.
        self.forgotten: set[str] = set()
        #: The document of each job as it was when its row first said that it ended.
        self.ended: dict[str, ResultDocument] = {}
        self._checked = 0

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(call)

    async def handle(self, payload: Work, job: JobContext) -> Any:
        assert job.job_id not in self.ended or job.job_id in self.forgotten, "run again after its end"
        script: list[str] = self.scripts.setdefault(job.job_id, list(payload.note))
        match script.pop(0) if script else "succeed":
            case "retry":
                raise RetryableError("again")
            case "fail":
                raise PermanentError("never")
            case "snooze":
                raise SnoozeJob(20)
            case "crash":
                raise Crash
            case "slow":
                self.world.clock.advance(LEASE_SECONDS / 2)
            case "frozen":
                self.world.clock.advance(LEASE_SECONDS + 1)
                await self.world.deliver(self.world.instance("three"))
        return len(self.world.calls[job.job_id])

    @rule(script=SCRIPTS, delay=st.sampled_from([0, 40]), key=st.none() | st.sampled_from(["a", "b"]))
    def submit(self, script: list[str], delay: float, key: str | None) -> None:
        body = {"job_type": "work", "payload": {"note": script if key is None else []}, "delay_seconds": delay}
        try:
            submitted = self.run(submit(self.world.services, body, TRACE, key and f"{key}{delay}"))
        except (UnavailableError, Crash):
            return
        self.accepted.add(submitted.job.job_id)

    @rule(instance=st.sampled_from(INSTANCES))
    def deliver(self, instance: str) -> None:
        self.run(self.world.deliver(self.world.instance(instance)))

    @rule(seconds=st.sampled_from([1, 10, LEASE_SECONDS + 1, 100]))
    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(skip=st.integers(0, 6), after=st.booleans(), instance=st.sampled_from(INSTANCES))
    def crash_while_delivering(self, skip: int, after: bool, instance: str) -> None:
        self.world.faults.plant("", Crash(), after=after, skip=skip)
        self.run(self.world.deliver(self.world.instance(instance)))
        self.world.faults.clear()

    @rule(
        call=st.sampled_from(
            ["status.insert", "status.get", "status.update", "results.put", "results.get", "queue.send"]
        ),
        after=st.booleans(),
        unknown=st.booleans(),
        times=st.integers(1, 3),
    )
    def break_service(self, call: str, after: bool, unknown: bool, times: int) -> None:
        error = TransientError("away", unknown_outcome=after or unknown)
        self.world.faults.plant(call, error, after=after, times=times)

    @rule()
    def mend_services(self) -> None:
        self.world.faults.clear()

    @precondition(lambda self: self.world.queue.waiting)
    @rule(data=st.data())
    def duplicate(self, data: st.DataObject) -> None:
        """The broker delivers a message that it took for settled."""
        message = data.draw(st.sampled_from(self.world.queue.waiting))
        self.world.queue.waiting.append(
            type(message)(message.body, message.message_id, message.priority, self.world.clock.now)
        )

    @rule(count=st.integers(1, 4))
    def lose_table_writes(self, count: int) -> None:
        """A table that is killed forgets its last writes.

        A job whose message never reached the broker (its request broke off between the two, and a repeat of it found
        the row) is only there, until the janitor sends it: no promise survives the loss of the only copy.
        """
        self.check_steps()
        self.forgotten |= {write.job_id for write in self.world.status.lose_writes(count)}
        unsent = {job_id for job_id in self.accepted if not self.world.queue.was_sent(f"{job_id}:1:1")}
        self.accepted -= {job_id for job_id in unsent if self.world.status.row(job_id) is None}
        self._checked = len(self.world.status.writes)

    @rule()
    def janitor(self) -> None:
        try:
            self.run(repair(self.world.services))
        except TransientError:
            return

    @rule()
    def bury(self) -> None:
        try:
            self.run(self.world.bury_poison())
        except TransientError:
            return

    @invariant()
    def check_steps(self) -> None:
        """Every write of a row was a legal step, and what ended stays as it ended."""
        for write in self.world.status.writes[self._checked :]:
            assert self.is_legal(write), (write.before, write.after)
            after = write.after
            if after is not None and after.job.state in TERMINAL:
                document = self.world.results.documents[write.job_id]
                assert after.job == document.job
                self.ended.setdefault(write.job_id, document)
        self._checked = len(self.world.status.writes)
        for job_id, document in self.ended.items():
            if job_id not in self.forgotten:
                assert self.world.results.documents[job_id] == document, "a result changed"

    def is_legal(self, write: Write) -> bool:
        if write.before is None:
            return True
        if write.after is None:
            return write.before.job.state in {JobState.QUEUED, JobState.SCHEDULED} and write.before.job.attempt == 0
        before, after = write.before.job, write.after.job
        if after.state in TRANSITIONS[before.state]:
            return after.fence > before.fence if after.state is JobState.RUNNING is not before.state else True
        # Nothing but a touch, or the bookkeeping of an ending whose result is there.
        stored = self.world.results.documents.get(write.job_id)
        return after.state is before.state or (stored is not None and stored.job == after)

    def teardown(self) -> None:
        try:
            self.world.faults.clear()
            for script in self.scripts.values():
                script[:] = [step for step in script if step != "crash"]
            self.run(self.settle())
            self.check_steps()
            for job_id in self.accepted:
                document = self.world.results.documents.get(job_id)
                assert document is not None, f"{job_id} was accepted, but never ended"
                found = self.world.status.row(job_id)
                assert found is None or found.job == document.job
        finally:
            self._runner.close()

    async def settle(self) -> None:
        """Time passes, everything works, and the janitor makes its rounds."""
        for _ in range(100):
            await repair(self.world.services)
            for _delivery in range(200):
                if await self.world.deliver() is None:
                    break
            await self.world.bury_poison()
            if not self.unfinished():
                return
            self.world.clock.advance(GRACE.total_seconds() + LEASE_SECONDS)
        raise AssertionError(f"never ended: {self.unfinished()}")

    def unfinished(self) -> list[str]:
        documents = self.world.results.documents
        rows = {job_id: self.world.status.row(job_id) for job_id in self.accepted}
        return [
            job_id
            for job_id, found in rows.items()
            if (found.job.state not in TERMINAL if found else job_id not in documents)
        ]


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=300, stateful_step_count=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
