"""Retry policies of functions (@app.retry), which the host applies to timers.

Source: Azure/azure-webjobs-sdk, FunctionExecutorExtensions and ExponentialBackoffRetryAttribute.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from local.host.timespan import parse_timespan


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often a failed invocation is repeated (-1: for ever) and how long the host waits in between."""

    max_retry_count: int
    minimum: timedelta
    maximum: timedelta | None  # None: the delay is always `minimum`

    def allows(self, retry_count: int) -> bool:
        """Whether retry number `retry_count` (the first is 1) may be made."""
        return self.max_retry_count < 0 or retry_count <= self.max_retry_count

    def delay(self, retry_count: int) -> float:
        """Seconds to wait before retry number `retry_count`."""
        minimum = self.minimum.total_seconds()
        if self.maximum is None or retry_count == 1:
            return minimum
        spread = random.uniform(0.8, 1.2)  # noqa: S311 - jitter, no secret
        return min(minimum + 2.0 ** min(retry_count - 2, 32) * minimum * spread, self.maximum.total_seconds())


def parse_retry_policy(settings: Mapping[str, str] | None) -> RetryPolicy:
    """The policy of a function's `retry_policy` settings; without any, no retry. ValueError for a bad interval."""
    if settings is None:
        return RetryPolicy(0, timedelta(0), None)
    count = int(settings["max_retry_count"])
    if settings.get("strategy") == "fixed_delay":
        return RetryPolicy(count, parse_timespan(settings["delay_interval"]), None)
    return RetryPolicy(
        count,
        parse_timespan(settings.get("minimum_interval") or "00:00:00"),
        parse_timespan(settings.get("maximum_interval") or "1.00:00:00"),
    )
