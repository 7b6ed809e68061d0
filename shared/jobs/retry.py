"""When the next attempt is made: exponential backoff with full jitter, capped."""

from __future__ import annotations

import random
from datetime import timedelta

import msgspec

#: A provider may ask for a longer wait than the policy's cap by Retry-After, but not for more than this.
MAX_RETRY_AFTER = timedelta(hours=1)


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How often and how soon a failed job is tried again.

    `max_retries` attempts follow the first. The longest wait before retry n (from 1) is
    min(cap_seconds, base_seconds * multiplier ** (n - 1)); `jitter` is its share left to chance: 1 is full jitter,
    evenly from 0 to the longest, which spreads a herd best (Brooker, "Exponential Backoff And Jitter", AWS Architecture
    Blog, 2015); 0 waits exactly the longest.
    """

    max_retries: int = 3
    base_seconds: float = 2.0
    multiplier: float = 2.0
    cap_seconds: float = 300.0
    jitter: float = 1.0

    def __post_init__(self) -> None:
        if self.max_retries < 0 or self.base_seconds < 0 or self.cap_seconds < 0:
            raise ValueError("max_retries, base_seconds and cap_seconds must not be negative")
        if self.multiplier < 1 or not 0 <= self.jitter <= 1:
            raise ValueError("multiplier must be at least 1, and jitter between 0 and 1")

    def ceiling(self, retry: int) -> float:
        """The longest wait, in seconds, before retry number `retry` (from 1)."""
        # A large exponent would overflow a float long after the cap was reached.
        exponent = min(retry - 1, 64)
        return float(min(self.cap_seconds, self.base_seconds * self.multiplier**exponent))

    def wait(self, retry: int, rng: random.Random, after: float | None = None) -> timedelta:
        """The wait before retry number `retry`; never shorter than `after`, the seconds a provider asked for."""
        longest = self.ceiling(retry)
        drawn = timedelta(seconds=longest * (1 - self.jitter * rng.random()))
        if after is None:
            return drawn
        # The bound is taken of the seconds, for a timedelta cannot hold every float.
        return max(drawn, timedelta(seconds=min(MAX_RETRY_AFTER.total_seconds(), after)))
