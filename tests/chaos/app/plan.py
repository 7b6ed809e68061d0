"""The chaos job: a handler that leaves a trace of each of its steps, under a plan of what shall go wrong with it."""

from __future__ import annotations

import asyncio
import contextvars
import os
import secrets
import signal
import time
from pathlib import Path
from typing import Annotated

import msgspec

from shared.jobs import JobContext, Payload, PermanentError, RetryableError, RetryPolicy, SnoozeJob, job_type
from tests.chaos.history import History

FOLDER = Path(os.environ["CHAOS_FOLDER"])
#: Processes that run jobs may die; the one that answers clients is killed from outside only.
MAY_CRASH = os.environ.get("CHAOS_MAY_CRASH") == "1"

history = History(FOLDER / "history.jsonl")
#: Which delivery of a broker message the present task handles.
delivery: contextvars.ContextVar[str] = contextvars.ContextVar("delivery", default="")

Moment = Annotated[
    str, msgspec.Meta(pattern="^(|before_claim|after_claim|handler|storing|after_result|after_status|before_return)$")
]


class Plan(Payload):
    """How a job goes. What happens "once" happens to the first that comes by, in whichever process."""

    sleep_seconds: float = 0
    steps: int = 0
    fail_times: int = 0
    fail_permanently: bool = False
    snooze_seconds: float = 0
    #: kill -9 of its own process there, in all `crash_times` times.
    crash_at: Moment = ""
    crash_times: int = 1
    #: Once, the whole process stands still there: no lease and no lock is renewed. For so long, or until another
    #: process has recorded an event of this kind for the job.
    stall_at: Moment = ""
    stall_seconds: float = 0
    stall_until: str = ""
    #: Copies of the first message under other ids, each due after so many seconds.
    duplicates: list[float] = []  # noqa: RUF012 - a msgspec field; it copies the default
    #: Once, the message of this attempt arrives at the broker, but its sender is told that it failed.
    lose_send_of_attempt: int = 0
    #: Once, the write of this state to the row fails; or it is made, but its author is told that it failed.
    fail_write: str = ""
    lose_write: str = ""


def at_moment(moment: str, job_id: str, plan: Plan) -> None:
    """Die or stand still here where the plan says so."""
    if not MAY_CRASH:
        return
    if plan.crash_at == moment and once(f"{job_id}-crash", plan.crash_times):
        history.record("crash", job_id, value=moment)
        os.kill(os.getpid(), signal.SIGKILL)
    if plan.stall_at == moment and once(f"{job_id}-stall"):
        history.record("stall", job_id, value=moment)
        deadline = time.monotonic() + plan.stall_seconds
        while time.monotonic() < deadline and not is_recorded_elsewhere(job_id, plan.stall_until):
            time.sleep(0.1)
        history.record("moved", job_id, value=moment)


def is_recorded_elsewhere(job_id: str, kind: str) -> bool:
    """Whether another process than this one has recorded such an event of the job."""
    return any((event.job, event.kind) == (job_id, kind) and event.pid != os.getpid() for event in history.read())


def once(name: str, times: int = 1) -> bool:
    """Whether this is one of the first `times` calls with that name, of all processes together."""
    for number in range(times):
        try:
            os.close(os.open(FOLDER / f"{name}-{number}.once", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        return True
    return False


@job_type(
    "chaos",
    description="Does what its plan says and leaves a trace of it.",
    example={},
    timeout_seconds=120,
    retry=RetryPolicy(max_retries=3, base_seconds=0.2, cap_seconds=1),
)
async def run(plan: Plan, job: JobContext) -> dict[str, str]:
    """Trace the start, the effect and the end; the result is a nonce of this very execution."""
    number = int(job.idempotency_key.rsplit(":", 1)[1])
    nonce = secrets.token_hex(4)
    history.record("start", job.job_id, run=number, attempt=job.attempt, delivery=delivery.get(), value=nonce)
    try:
        at_moment("handler", job.job_id, plan)
        for step in range(plan.steps):
            await asyncio.sleep(plan.sleep_seconds / plan.steps)
            job.progress(100 * step // plan.steps, f"Step {step + 1} of {plan.steps}")
        if not plan.steps:
            await asyncio.sleep(plan.sleep_seconds)
        if plan.snooze_seconds and once(f"{job.job_id}-snooze"):
            raise SnoozeJob(plan.snooze_seconds)
        if plan.fail_permanently and number == 1:
            raise PermanentError("Failed for good, as planned.")
        if job.attempt <= plan.fail_times:
            raise RetryableError("Failed, as planned.")
        history.record("effect", job.job_id, run=number, attempt=job.attempt, value=nonce)
        return {"nonce": nonce}
    finally:
        history.record("end", job.job_id, run=number, attempt=job.attempt, value=nonce)
