"""A job that does nothing but what it is told: for tests, load and drills."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec

from shared.jobs import JobContext, Payload, PermanentError, RetryableError, job_type

MILESTONES = (20, 50, 80, 100)


class TestTask(Payload):
    """How long it takes, how it fails, what it returns."""

    sleep_seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0
    fail_times: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0
    fail_permanently: bool = False
    result: Any = None
    progress_steps: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0


class Done(msgspec.Struct):
    """What the payload asked to return, and the attempt that did."""

    result: Any
    attempt: int


@job_type(
    "test_task",
    description="Sleeps, fails or returns what it is told; for tests and drills.",
    example={"sleep_seconds": 1, "progress_steps": 4, "result": "done"},
    timeout_seconds=300,
)
async def run(payload: TestTask, job: JobContext) -> Done:
    """Report progress in even steps over the sleep (four steps: the milestones 20, 50, 80), then fail or return."""
    steps = payload.progress_steps
    for step in range(1, steps + 1):
        await asyncio.sleep(payload.sleep_seconds / steps)
        percent = MILESTONES[step - 1] if steps == len(MILESTONES) else step * 100 // steps
        if percent < 100:
            job.progress(percent, f"Step {step} of {steps}")
    if not steps and payload.sleep_seconds:
        await asyncio.sleep(payload.sleep_seconds)
    if payload.fail_permanently:
        raise PermanentError("Failed for good, as asked.", code="asked_to_fail")
    if job.attempt <= payload.fail_times:
        raise RetryableError(f"Failed attempt {job.attempt}, as asked.", code="asked_to_fail")
    return Done(result=payload.result, attempt=job.attempt)
