"""The use cases over fake ports, with a clock and a broker that a test moves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from shared.config import Connection, Settings
from shared.jobs import JobContext, Payload, RetryPolicy
from shared.jobs.model import Job, JobMessage, JobState, Priority, VersionedJob
from shared.jobs.registry import JobType, Registry
from shared.service.flow import FlowControl
from shared.service.metrics import Recorder
from shared.service.ports import Services, TransientError
from shared.service.quota import TenantQuota
from shared.service.repair import bury
from shared.service.run import run_message
from shared.service.submit import Trace, submit
from tests.fakes import (
    Clock,
    Crash,
    FakeDeadLetters,
    FakeNotifier,
    FakeQueue,
    FakeQueueAdmin,
    FakeRecords,
    FakeResultStore,
    FakeStatusStore,
    Faults,
    Waiting,
    seeded,
)

TRACE = Trace("trace-1")
LEASE_SECONDS = 30
RETRY = RetryPolicy(max_retries=2, base_seconds=4, cap_seconds=60)

AsyncHandler = Callable[["Work", JobContext], Awaitable[Any]]
SyncHandler = Callable[["Work", JobContext], Any]


class Work(Payload):
    """What the test's job types take."""

    note: Any = None


class World:
    """Everything around the use cases. `handler` (and `sync_handler`) is what jobs of type work (sync_work) do."""

    def __init__(self, lease_seconds: int = LEASE_SECONDS) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.status = FakeStatusStore(self.clock, self.faults)
        self.records = FakeRecords(self.faults)
        self.results = FakeResultStore(self.faults)
        self.queue = FakeQueue(self.clock, self.faults)
        self.notifier = FakeNotifier()
        self.handler: AsyncHandler = _return_note
        self.sync_handler: SyncHandler = lambda payload, _: payload.note
        #: The attempts that handlers were called for, by job.
        self.calls: dict[str, list[int]] = {}
        self.settings = Settings(
            service_bus=Connection(),
            tables=Connection(),
            cosmos=Connection(),
            signalr=Connection(),
            lease_seconds=lease_seconds,
            max_payload_bytes=2000,
        )
        self._rng = seeded(42)
        self.services = self.instance("one")

    def instance(self, name: str, rng: random.Random | None = None) -> Services:
        """What an instance of the app of that name is given."""

        async def work(payload: Work, job: JobContext) -> Any:
            self.calls.setdefault(job.job_id, []).append(job.attempt)
            return await self.handler(payload, job)

        def sync_work(payload: Work, job: JobContext) -> Any:
            self.calls.setdefault(job.job_id, []).append(job.attempt)
            return self.sync_handler(payload, job)

        return Services(
            settings=self.settings,
            registry=Registry([_job_type("work", work), _job_type("sync_work", sync_work)]),
            status=self.status,
            records=self.records,
            results=self.results,
            queue=self.queue,
            queue_admin=FakeQueueAdmin(self.queue),
            dead_letters=FakeDeadLetters(self.queue),
            notifier=self.notifier,
            clock=self.clock,
            rng=rng or self._rng,
            instance_id=name,
            metrics=Recorder(self.records, self.clock, name),
            quota=TenantQuota(self.status, self.settings.tenant_max_open, self.clock),
            flow=FlowControl(self.settings, self.records, self.clock, rng or self._rng, name),
        )

    async def submit(self, job_type: str = "work", **fields: Any) -> Job:
        """Submit a job and return it as it was answered."""
        return (await submit(self.services, {"job_type": job_type, **fields}, TRACE)).job

    def row(self, job: Job) -> Job:
        """The job as its row is now."""
        found = self.status.row(job.job_id)
        assert found is not None, "the job has no row"
        return found.job

    async def touch(self, job: Job, **fields: Any) -> VersionedJob:
        """Change a row as somebody else would."""
        found = self.status.row(job.job_id)
        assert found is not None
        new = msgspec.structs.replace(found.job, **fields)
        return VersionedJob(new, await self.status.update(found.job, new, found.etag))

    async def deliver(self, services: Services | None = None) -> Waiting | None:
        """Deliver the message that is due: completed when `run_message` returns, abandoned when it cannot go on."""
        message = self.queue.receive()
        if message is not None:
            try:
                await run_message(
                    services or self.services, message.priority, message.body, message.message_id, message.deliveries
                )
            except Crash:
                await _stop_other_tasks()
                self.queue.abandon(message)
            except TransientError:
                self.queue.abandon(message)
            else:
                self.queue.complete(message)
        return message

    async def deliver_body(self, message: JobMessage) -> None:
        """Deliver a message that no queue holds."""
        await run_message(self.services, message.job.priority, msgspec.json.encode(message), "crafted")

    async def drain(self) -> None:
        """Deliver until no message is left, the clock moved to each; 200 deliveries mean that it never ends."""
        for _ in range(200):
            if not self.queue.waiting:
                return
            next_due = min(message.due for message in self.queue.waiting)
            self.clock.now = max(self.clock.now, next_due)
            await self.deliver()
        raise AssertionError("the messages never end")

    async def bury_poison(self) -> None:
        """Do with the messages that the broker gave up what the poison queue's function does."""
        while self.queue.poison:
            dead = self.queue.poison[0]
            await bury(self.services, dead.body, dead.message_id, dead.reason, dead.description)
            self.queue.poison.pop(0)

    def dead_letters(self) -> list[tuple[str, str, JobState]]:
        """Reason, job and state of each dead letter."""
        letters = [(dead.reason, msgspec.json.decode(dead.body, type=JobMessage)) for dead in self.queue.dead]
        return [(reason, message.job.job_id, message.job.state) for reason, message in letters]

    def outcomes(self, job: Job) -> list[tuple[int, str]]:
        """The row's history: number and outcome of each attempt."""
        return [(each.attempt, each.outcome) for each in self.row(job).attempts]


async def _return_note(payload: Work, _: JobContext) -> Any:
    return payload.note


def _job_type(name: str, handler: Callable[..., Any]) -> JobType:
    return JobType(
        name=name,
        description="Does what the test says.",
        handler=handler,
        payload_type=Work,
        result_type=Any,
        example={},
        priority=Priority.MEDIUM,
        retry=RETRY,
        timeout_seconds=60,
        settings=(),
    )


async def _stop_other_tasks() -> None:
    """What ran beside the code that crashed is gone with it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
