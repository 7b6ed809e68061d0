"""Holding a queue or a job type, and letting it go on.

The record is what counts: every instance reads it once a second. The broker is told too, so that it keeps a held
queue's messages to itself and nothing is executed for them; where it cannot be told, the instances hold them.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Annotated, Any

import msgspec

from shared.errors import JobTypeNotFoundError, QueueNotFoundError, UnavailableError, did_you_mean
from shared.jobs.model import Instant, Priority
from shared.service.audit import audit
from shared.service.flow import job_type_key, queue_key
from shared.service.flow_state import FLOW
from shared.service.ports import ConflictError, Services, TransientError
from shared.service.validation import convert

logger = logging.getLogger(__name__)


class PauseRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of a pause; it may be missing altogether."""

    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Pause(msgspec.Struct, frozen=True):
    """Since when something is held, who holds it and why ("" when no reason was given)."""

    at: Instant
    by: str
    reason: str


class QueuePause(msgspec.Struct, frozen=True):
    """Whether a queue is held."""

    priority: Priority
    paused: Pause | None


class JobTypePause(msgspec.Struct, frozen=True):
    """Whether a job type is held."""

    name: str
    paused: Pause | None


async def pause_queue(services: Services, name: str, body: Any, by: str) -> QueuePause:
    """Hold a queue: it takes jobs, and none of them starts. A queue that is held already stays as it is.

    Raises QueueNotFoundError, InvalidRequestError and UnavailableError.
    """
    priority = queue_named(name)
    request = convert(body, PauseRequest)
    pause = await _hold(services, queue_key(priority), request, by, action="queue.pause", target=priority)
    await _tell_broker(services, priority, receiving=False)
    return QueuePause(priority, pause)


async def resume_queue(services: Services, name: str, by: str) -> QueuePause:
    """Let a queue go on. Raises QueueNotFoundError and UnavailableError."""
    priority = queue_named(name)
    await _let_go(services, queue_key(priority), by, action="queue.resume", target=priority)
    await _tell_broker(services, priority, receiving=True)
    return QueuePause(priority, None)


async def pause_job_type(services: Services, name: str, body: Any, by: str) -> JobTypePause:
    """Hold the jobs of a type, in whichever queue they are.

    Raises JobTypeNotFoundError, InvalidRequestError and UnavailableError.
    """
    _require_job_type(services, name)
    request = convert(body, PauseRequest)
    pause = await _hold(services, job_type_key(name), request, by, action="job_type.pause", target=name)
    return JobTypePause(name, pause)


async def resume_job_type(services: Services, name: str, by: str) -> JobTypePause:
    """Let the jobs of a type go on. Raises JobTypeNotFoundError and UnavailableError."""
    _require_job_type(services, name)
    await _let_go(services, job_type_key(name), by, action="job_type.resume", target=name)
    return JobTypePause(name, None)


async def enforce_pauses(services: Services) -> None:
    """Have the broker hold just the queues that are paused, whatever it missed or somebody else told it.

    Raises TransientError.
    """
    held = {record.key for record in await services.records.list(FLOW)}
    await asyncio.gather(
        *(_tell_broker(services, priority, receiving=queue_key(priority) not in held) for priority in Priority)
    )


def queue_named(name: str) -> Priority:
    """The priority whose queue it is. Raises QueueNotFoundError."""
    known = [str(priority) for priority in Priority]
    if name not in known:
        raise QueueNotFoundError(f"No queue is named {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
    return Priority(name)


def _require_job_type(services: Services, name: str) -> None:
    if services.registry.get(name) is None:
        known = [job_type.name for job_type in services.registry]
        raise JobTypeNotFoundError(
            f"No job type is named {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.",
            details={"known_job_types": known},
        )


async def _hold(services: Services, key: str, request: PauseRequest, by: str, *, action: str, target: str) -> Pause:
    pause = Pause(services.clock(), by, request.reason)
    try:
        try:
            await services.records.create(FLOW, key, pause)
        except ConflictError:
            found = await services.records.get(FLOW, key)
            return msgspec.convert(found.value, Pause) if found else pause
    except TransientError as exc:
        raise UnavailableError(f"Nothing was paused for certain: {exc}") from exc
    services.flow.state.forget()
    await audit(services, by=by, action=action, target=target, reason=request.reason)
    return pause


async def _let_go(services: Services, key: str, by: str, *, action: str, target: str) -> None:
    try:
        if await services.records.get(FLOW, key) is None:
            return
        await services.records.delete(FLOW, key)
    except TransientError as exc:
        raise UnavailableError(f"Nothing was resumed for certain: {exc}") from exc
    services.flow.state.forget()
    await audit(services, by=by, action=action, target=target)


async def _tell_broker(services: Services, priority: Priority, *, receiving: bool) -> None:
    try:
        await services.queue_admin.set_receiving(priority, receiving)
    except TransientError as exc:
        logger.warning(
            "the broker could not be told to %s the queue %s, the janitor tries again: %s",
            *("let go of" if receiving else "hold", priority, exc),
        )
