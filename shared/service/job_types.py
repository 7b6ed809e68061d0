"""The catalogue of job types: what can be submitted, with what limits, and what holds it up at the moment."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from shared.jobs.breaker import BreakerState, state
from shared.jobs.limits import Limit
from shared.jobs.model import Instant, Priority
from shared.jobs.registry import JobType
from shared.service.breakers import breaker_of
from shared.service.flow import job_type_key
from shared.service.pause import Pause
from shared.service.ports import Services


class DefaultsView(msgspec.Struct, frozen=True):
    """What a job has that asks for nothing else."""

    priority: Priority
    max_retries: int
    timeout_seconds: float


class LimitsView(msgspec.Struct, frozen=True):
    """How many jobs of the type may start in a second and run at once, over all instances; null is no limit."""

    rate_per_second: float | None
    max_concurrent: int | None


class BreakerView(msgspec.Struct, frozen=True):
    """Whether jobs run (closed), wait for the provider (open) or for a single one that tries it (half_open).

    `since` is when it opened or closed last, `until` when it tries next; null where it does not apply.
    """

    state: BreakerState
    since: Instant | None
    until: Instant | None
    reason: str


class JobTypeView(msgspec.Struct, frozen=True, kw_only=True):
    """A job type. `payload_schema` is its payload's JSON Schema (2020-12)."""

    name: str
    description: str
    payload_schema: dict[str, Any]
    example: dict[str, Any]
    defaults: DefaultsView
    limits: LimitsView
    paused: Pause | None
    breaker: BreakerView


async def list_job_types(services: Services) -> list[JobTypeView]:
    """Every job type, with pauses and breakers as this instance knows them: at most a second old.

    While the table does not answer they are as they were last known.
    """
    flow = await services.flow.state.read()
    return [
        JobTypeView(
            name=job_type.name,
            description=job_type.description,
            payload_schema=job_type.payload_schema(),
            example=job_type.example,
            defaults=DefaultsView(job_type.priority, job_type.retry.max_retries, job_type.timeout_seconds),
            limits=_limits(services, job_type),
            paused=_paused(flow, job_type),
            breaker=_breaker(flow, job_type, services.clock()),
        )
        for job_type in services.registry
    ]


def _limits(services: Services, job_type: JobType) -> LimitsView:
    limit = services.settings.job_type_limits.get(job_type.name, Limit())
    return LimitsView(limit.rate_per_second, limit.max_concurrent)


def _paused(flow: Mapping[str, Any], job_type: JobType) -> Pause | None:
    value = flow.get(job_type_key(job_type.name))
    return None if value is None else msgspec.convert(value, Pause)


def _breaker(flow: Mapping[str, Any], job_type: JobType, now: datetime) -> BreakerView:
    breaker = breaker_of(flow, job_type.name)
    if breaker is None:
        return BreakerView(BreakerState.CLOSED, None, None, "")
    return BreakerView(state(breaker, now), breaker.since, breaker.until, breaker.reason)
