"""What a handler may use of the world: its job's facts, progress, settings and a deadline-aware HTTP client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeVar

T = TypeVar("T")


class Setting:
    """A setting that a job type reads, declared beside its handler: `name` is the environment variable's."""

    def __init__(self, name: str, default: str) -> None:
        self.name = name
        self.default = default


class Http(Protocol):
    """Calls to a provider that never outlive the job's deadline."""

    def get_json(
        self,
        url: str,
        type: type[T],  # noqa: A002 - the field's own word, as in msgspec
        *,
        params: Mapping[str, str | int | float] | None = None,
        headers: Mapping[str, str] | None = None,
        not_found: str | None = None,
    ) -> T:
        """GET `url` and decode its JSON body as `type`.

        Raises RetryableError for 408, 425, 429, 5xx (with the provider's Retry-After), for a connection that failed
        or timed out and for a body that is not what `type` says; PermanentError for other 4xx, with the message
        `not_found` for a 404 when one is given.
        """


class JobContext(Protocol):
    """The running job, as its handler sees it. Every member may be used from sync and async handlers."""

    @property
    def job_id(self) -> str:
        """The job's id."""

    @property
    def attempt(self) -> int:
        """Which attempt this is, from 1."""

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of one run of the job: give it to a service so that it can drop a repeat."""

    @property
    def http(self) -> Http:
        """The HTTP client for providers."""

    def setting(self, setting: Setting) -> str:
        """The value of a setting that the job type declared."""

    def remaining_seconds(self) -> float:
        """How long the handler may still run; never below 0."""

    def progress(self, percent: int, message: str = "") -> None:
        """Report progress, 0 to 100. Cheap: many reports make few writes.

        Raises JobCancelled after a cancel request, LeaseLost when another instance runs the job by now, and
        RetryableError when the time is up.
        """
