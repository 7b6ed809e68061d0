"""Faults on demand: what a test asked of a provider, and how often that provider was called.

`PUT /_control/{provider}` replaces the provider's settings. A failure is one kind of `status`, `malformed` and `down`
(503 when only `fail_next` is given); it strikes the next `fail_next` requests, or every request where `fail_next` is
absent. `delay_seconds` holds every answer back, failing or not.
"""

from __future__ import annotations

import time
from collections import deque
from enum import Enum
from typing import Annotated

import msgspec

#: Request times kept for each provider; older ones are forgotten, the counters are not.
REQUEST_TIMES = 20_000


class Failure(Enum):
    """What happens to a request instead of its answer."""

    STATUS = "status"  # answered with an error status in the provider's own shape
    MALFORMED = "malformed"  # answered 200 with half of the JSON
    DOWN = "down"  # connection dropped without an answer


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of `PUT /_control/{provider}`. Raises `msgspec.ValidationError` when it contradicts itself."""

    fail_next: Annotated[int, msgspec.Meta(ge=0)] | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] | None = None
    retry_after: Annotated[int, msgspec.Meta(ge=0)] | None = None  # seconds, sent with a failing status
    delay_seconds: Annotated[float, msgspec.Meta(ge=0, le=300)] = 0.0
    malformed: bool = False
    down: bool = False

    def __post_init__(self) -> None:
        if sum((self.status is not None, self.malformed, self.down)) > 1:
            raise ValueError("choose one of status, malformed and down")
        if self.retry_after is not None and self.failure is not Failure.STATUS:
            raise ValueError("retry_after goes with a failing status: add status or fail_next")

    @property
    def failure(self) -> Failure | None:
        if self.down:
            return Failure.DOWN
        if self.malformed:
            return Failure.MALFORMED
        if self.status is not None or self.fail_next is not None:
            return Failure.STATUS
        return None


class Faults:
    """One provider's settings and counters."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Answer again as the live service does, and count from nought."""
        self.apply(Settings())
        self.requests = 0
        self.failed = 0
        self.request_times: deque[float] = deque(maxlen=REQUEST_TIMES)

    def apply(self, settings: Settings) -> None:
        self.settings = settings
        self.failures_left = settings.fail_next

    def count_request(self) -> Failure | None:
        """Count a request that came in and say how it is to fail, if it is to."""
        self.requests += 1
        self.request_times.append(time.monotonic())
        failure = self.settings.failure
        if failure is None or self.failures_left == 0:
            return None
        if self.failures_left is not None:
            self.failures_left -= 1
        self.failed += 1
        return failure

    def report(self) -> dict[str, object]:
        """The answer of `GET /_control/{provider}`; `request_times` are seconds of a monotonic clock, oldest first."""
        return {
            "settings": msgspec.to_builtins(self.settings),
            "failures_left": self.failures_left,
            "requests": self.requests,
            "failed": self.failed,
            "request_times": list(self.request_times),
        }
