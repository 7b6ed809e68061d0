"""How an attempt can end: the errors that a handler raises and the data that they become."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from shared.jobs.model import JobError

#: Longest error message that is kept, in characters.
MAX_ERROR_MESSAGE = 2_000


class RetryableError(Exception):
    """Raise it when trying again later could help; `after` seconds is the earliest that makes sense."""

    def __init__(self, message: str, *, code: str = "handler_error", after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.after = after


class PermanentError(Exception):
    """Raise it when trying again cannot help: the job fails at once."""

    def __init__(self, message: str, *, code: str = "permanent_error") -> None:
        super().__init__(message)
        self.code = code


class SnoozeJob(Exception):  # noqa: N818 - control flow, not an error
    """Raise it to be run again after `seconds` without burning an attempt."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"snoozed for {seconds} s")
        self.seconds = seconds


class JobCancelled(Exception):  # noqa: N818 - control flow, not an error
    """Raised inside a handler at its next progress call after somebody cancelled the job."""


class LeaseLost(Exception):  # noqa: N818 - control flow, not an error
    """Raised inside a handler at its next progress call after another instance has taken the job over."""


class Completed(msgspec.Struct, frozen=True):
    """The handler returned; `result` is plain data that JSON can hold."""

    result: Any


class Failed(msgspec.Struct, frozen=True):
    """The handler raised. `after` is the wait in seconds that a provider asked for."""

    error: JobError
    after: float | None = None
    timed_out: bool = False


class Snoozed(msgspec.Struct, frozen=True):
    """The handler wants to run again at `until`, in the same attempt."""

    until: datetime


class Cancelled(msgspec.Struct, frozen=True):
    """The handler gave way to a cancel request."""


class Lost(msgspec.Struct, frozen=True):
    """Another instance has taken the job over: nothing of this attempt may be written."""


Outcome = Completed | Failed | Snoozed | Cancelled | Lost


def failure(exc: Exception) -> Failed:
    """What an exception of a handler means. An unforeseen one is retryable: most are passing."""
    text = str(exc)[:MAX_ERROR_MESSAGE] or type(exc).__name__
    match exc:
        case RetryableError():
            return Failed(JobError(exc.code, text, retryable=True), exc.after)
        case PermanentError():
            return Failed(JobError(exc.code, text, retryable=False))
        case _:
            return Failed(
                JobError("handler_error", f"{type(exc).__name__}: {text}"[:MAX_ERROR_MESSAGE], retryable=True)
            )
