"""Job types: how a handler is declared, described and found by its name."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from shared.errors import UnknownJobTypeError, did_you_mean
from shared.jobs.context import Setting
from shared.jobs.limits import Limit
from shared.jobs.model import Priority
from shared.jobs.retry import RetryPolicy

Handler = Callable[..., Any]


class Payload(msgspec.Struct, forbid_unknown_fields=True):
    """Base of every payload: a field that the type does not have is refused, not ignored."""


class JobType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of job: its handler, the types of its payload and result, and the defaults of its jobs."""

    name: str
    description: str
    handler: Handler
    payload_type: type[Payload]
    result_type: Any
    example: dict[str, Any]
    priority: Priority
    retry: RetryPolicy
    timeout_seconds: float
    settings: tuple[Setting, ...]
    limit: Limit = Limit()

    @property
    def is_async(self) -> bool:
        """Whether the handler is a coroutine function; others run in a thread."""
        return inspect.iscoroutinefunction(self.handler)

    def payload_schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of the payload."""
        return msgspec.json.schema(self.payload_type)


class Registry:
    """The job types that the app knows, by name."""

    def __init__(self, job_types: Iterable[JobType]) -> None:
        self._types = {job_type.name: job_type for job_type in sorted(job_types, key=lambda each: each.name)}

    def __iter__(self) -> Iterator[JobType]:
        return iter(self._types.values())

    def get(self, name: str) -> JobType | None:
        """The job type, or None."""
        return self._types.get(name)

    def require(self, name: str) -> JobType:
        """The job type. Raises UnknownJobTypeError with the known names and the closest."""
        job_type = self._types.get(name)
        if job_type is None:
            known = list(self._types)
            raise UnknownJobTypeError(
                f"No job type is named {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}.",
                errors=[("/job_type", "no such job type")],
                details={"known_job_types": known},
            )
        return job_type


_declared: dict[str, JobType] = {}


def job_type(  # noqa: PLR0913 - keywords, each named as what it sets
    name: str,
    *,
    description: str,
    example: dict[str, Any],
    priority: Priority = Priority.MEDIUM,
    retry: RetryPolicy | None = None,
    timeout_seconds: float = 60,
    settings: tuple[Setting, ...] = (),
    rate_per_second: float | None = None,
    max_concurrent: int | None = None,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function, `handler(payload, job)`, as the handler of the job type `name`.

    The annotations of its first parameter (a Payload) and of its return value are the types of payload and result.
    `timeout_seconds` bounds one attempt; `rate_per_second` and `max_concurrent` hold over all instances. Raises
    TypeError for a handler that could not work, ValueError for a name that is taken or a limit out of bounds;
    msgspec.ValidationError for an example that its own payload type refuses.
    """

    def declare(handler: Handler) -> Handler:
        if name in _declared and _declared[name].handler.__module__ != handler.__module__:
            raise ValueError(f"the job type {name!r} is declared by {_declared[name].handler.__module__} already")
        payload_type, result_type = _types_of(handler)
        msgspec.convert(example, payload_type)
        _declared[name] = JobType(
            name=name,
            description=description,
            handler=handler,
            payload_type=payload_type,
            result_type=result_type,
            example=example,
            priority=priority,
            retry=retry or RetryPolicy(),
            timeout_seconds=timeout_seconds,
            settings=settings,
            limit=Limit(rate_per_second=rate_per_second, max_concurrent=max_concurrent),
        )
        return handler

    return declare


def declared_job_types() -> Registry:
    """A registry of all the job types whose modules have been imported."""
    return Registry(_declared.values())


def _types_of(handler: Handler) -> tuple[type[Payload], Any]:
    hints = typing.get_type_hints(handler)
    parameters = list(inspect.signature(handler).parameters)
    result_type = hints.pop("return", Any)
    payload_type = hints.get(parameters[0]) if len(parameters) == 2 else None
    if not (isinstance(payload_type, type) and issubclass(payload_type, Payload)):
        raise TypeError(f"{handler.__qualname__} must take (payload: <a Payload>, job: JobContext)")
    return payload_type, result_type
