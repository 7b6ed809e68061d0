"""The product's ports with faults between them and the use cases, and a trace of what they stored."""

from __future__ import annotations

import dataclasses
import functools
import os
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shared.jobs.model import Job, JobMessage, JobState, Priority, ResultDocument
from shared.jobs.states import TERMINAL
from shared.service.ports import Outgoing, Services, TransientError
from tests.chaos.app.plan import Plan, at_moment, delivery, history, once

#: Breaks the product, to show that the checker notices: `fencing` or `result_first`.
BREAK = os.environ.get("CHAOS_BREAK", "")
SKEW = timedelta(seconds=float(os.environ.get("CHAOS_CLOCK_SKEW", "0")))


def faulty(services: Services) -> Services:
    """The same services, faults included, on a clock that is wrong by CHAOS_CLOCK_SKEW seconds."""

    def clock() -> datetime:
        return services.clock() + SKEW

    results = FaultyResults(services.results)
    return dataclasses.replace(
        services,
        clock=clock,
        status=FaultyStatus(services.status, results),
        results=results,
        queue=FaultyQueue(services.queue, clock),
    )


def plan_of(job: Job) -> Plan:
    """The plan of a chaos job; one of any other type goes as it may."""
    return msgspec.convert(job.payload, Plan) if job.job_type == "chaos" else Plan()


class FaultyResults:
    """A ResultStore."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._held_back: dict[str, ResultDocument] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def put(self, document: ResultDocument) -> None:
        at_moment("storing", document.job.job_id, plan_of(document.job))
        if BREAK == "result_first":
            self._held_back[document.job.job_id] = document
            return
        await self._put(document)
        at_moment("after_result", document.job.job_id, plan_of(document.job))

    async def put_late(self, job_id: str) -> None:
        """With the order of writes broken: the document follows its row."""
        document = self._held_back.pop(job_id, None)
        if document is not None:
            await self._put(document)

    async def _put(self, document: ResultDocument) -> None:
        job = document.job
        began = time.time()
        if BREAK == "fencing":
            await self._inner._results().upsert_item(self._inner._body(document))
        else:
            await self._inner.put(document)
        value = msgspec.json.encode(document.result).decode()
        state = str(job.state)
        history.record("stored", job.job_id, began=began, run=job.run, fence=job.fence, state=state, value=value)


class FaultyStatus:
    """A StatusStore."""

    def __init__(self, inner: Any, results: FaultyResults) -> None:
        self._inner = inner
        self._results = results

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def insert(self, job: Job) -> str:
        began = time.time()
        etag: str = await self._inner.insert(job)
        self._record("", job, began)
        return etag

    async def update(self, old: Job, new: Job, etag: str) -> str:
        plan = plan_of(new)
        claims = new.fence > old.fence and new.state is JobState.RUNNING
        changes = claims or new.state is not old.state
        if claims:
            at_moment("before_claim", new.job_id, plan)
        if changes and plan.fail_write == new.state and once(f"{new.job_id}-fail-write"):
            raise TransientError("a fault: the row was not written")
        if BREAK == "fencing":
            found = await self._inner.get(new.tenant, new.job_id)
            etag = found.etag if found else etag
        began = time.time()
        if claims:
            history.record("claiming", new.job_id, run=new.run, fence=new.fence)
        written: str = await self._inner.update(old, new, etag)
        if changes:
            self._record(str(old.state), new, began)
        if changes and plan.lose_write == new.state and once(f"{new.job_id}-lose-write"):
            raise TransientError("a fault: the answer of a write was lost", unknown_outcome=True)
        if claims:
            at_moment("after_claim", new.job_id, plan)
        elif changes:
            at_moment("after_status", new.job_id, plan)
        if BREAK == "result_first" and new.state in TERMINAL:
            await self._results.put_late(new.job_id)
        return written

    @staticmethod
    def _record(old: str, job: Job, began: float) -> None:
        history.record(
            "status",
            job.job_id,
            began=began,
            run=job.run,
            attempt=job.attempt,
            fence=job.fence,
            old=old,
            state=str(job.state),
            delivery=delivery.get(),
        )


class FaultyQueue:
    """A JobQueue."""

    def __init__(self, inner: Any, clock: Callable[[], datetime]) -> None:
        self._inner = inner
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        copies: list[Outgoing] = []
        lost = False
        for each in outgoing:
            job = each.message.job
            plan = plan_of(job)
            if plan.duplicates and once(f"{job.job_id}-duplicates"):
                copies += [self._copy(each, number, after) for number, after in enumerate(plan.duplicates)]
            if plan.lose_send_of_attempt == each.message.attempt and once(f"{job.job_id}-lose-send"):
                lost = True
        await self._inner.send([*outgoing, *copies])
        if lost:
            raise TransientError("a fault: the broker's answer was lost", unknown_outcome=True)

    def _copy(self, original: Outgoing, number: int, after: float) -> Outgoing:
        due = self._clock() - SKEW + timedelta(seconds=after) if after else None
        return Outgoing(original.message, f"{original.message_id}:copy{number}", due)


def traced(run_message: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """`run_message` with every delivery in the history, and a moment to die after all is done."""

    @functools.wraps(run_message)
    async def run(services: Services, queue: Priority, body: bytes, message_id: str, *more: Any) -> None:
        token = secrets.token_hex(6)
        delivery.set(token)
        try:
            job = msgspec.json.decode(body, type=JobMessage).job
        except (msgspec.DecodeError, UnicodeDecodeError):
            history.record("delivery", delivery=token, value=message_id)
            await run_message(services, queue, body, message_id, *more)
            return
        history.record("delivery", job.job_id, run=job.run, delivery=token, value=message_id)
        await run_message(services, queue, body, message_id, *more)
        at_moment("before_return", job.job_id, plan_of(job))

    return run
