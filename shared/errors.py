"""The errors that callers see: one base, each with a stable code, an HTTP status and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DtqError(Exception):
    """Base of every error the product raises on purpose; `str()` is the sentence a caller reads.

    `retry_after` is in seconds and becomes the Retry-After header; `errors` points at the wrong fields of a body
    as `(JSON pointer, detail)` pairs; `details` are further members of the problem document (RFC 9457).
    """

    code = "internal_error"
    status = 500
    title = "Something went wrong on our side"

    def __init__(
        self,
        message: str,
        *,
        errors: Iterable[tuple[str, str]] = (),
        retry_after: int | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.errors = tuple(errors)
        self.retry_after = retry_after
        self.details = details or {}


class SettingsError(DtqError):
    """A setting is missing, unknown or malformed: the message names it and says how to mend it."""

    code = "invalid_settings"
    title = "The app's settings are wrong"


class InvalidJsonError(DtqError):
    """The body is empty or not JSON."""

    code = "invalid_json"
    status = 400
    title = "The body is not JSON"


class UnsupportedMediaTypeError(DtqError):
    """The body is not declared as JSON."""

    code = "unsupported_media_type"
    status = 415
    title = "Send JSON"


class PayloadTooLargeError(DtqError):
    """The body or a job's payload is over its limit."""

    code = "payload_too_large"
    status = 413
    title = "The payload is too large"


class InvalidRequestError(DtqError):
    """A field, query parameter or header has a wrong value; `errors` says which."""

    code = "invalid_request"
    status = 422
    title = "The request is not valid"


class UnknownJobTypeError(DtqError):
    """No handler is registered for the job type."""

    code = "unknown_job_type"
    status = 422
    title = "There is no such job type"


class JobTypeNotFoundError(UnknownJobTypeError):
    """The address names a job type for which no handler is registered."""

    status = 404


class QueueNotFoundError(DtqError):
    """The address names a queue that there is not: queues are named by the priorities."""

    code = "queue_not_found"
    status = 404
    title = "There is no such queue"


class JobNotFoundError(DtqError):
    """The id is malformed, was never given out, or its job and result have expired."""

    code = "job_not_found"
    status = 404
    title = "There is no such job"


class NotFinishedError(DtqError):
    """The result was asked for before the job ended."""

    code = "not_finished"
    status = 409
    title = "The job has not finished"


class AlreadyFinishedError(DtqError):
    """The job has ended and cannot be cancelled any more."""

    code = "already_finished"
    status = 409
    title = "The job has finished"


class NotRetryableError(DtqError):
    """The job is not one that can be started again: only failed and cancelled ones can."""

    code = "not_retryable"
    status = 409
    title = "The job cannot be started again"


class ResultExpiredError(DtqError):
    """The job ended, but its result is older than the retention time."""

    code = "result_expired"
    status = 410
    title = "The result has expired"


class IdempotencyConflictError(DtqError):
    """The Idempotency-Key was used before with another body."""

    code = "idempotency_conflict"
    status = 409
    title = "The Idempotency-Key belongs to another request"


class QuotaExceededError(DtqError):
    """The tenant has as many open jobs as it may have; the same call may succeed after `retry_after` seconds."""

    code = "quota_exceeded"
    status = 429
    title = "There are too many open jobs"


class UnavailableError(DtqError):
    """A service that the call needs does not answer; the same call may succeed after `retry_after` seconds."""

    code = "service_unavailable"
    status = 503
    title = "A service we depend on does not answer"

    def __init__(self, message: str, *, retry_after: int = 5) -> None:
        super().__init__(message, retry_after=retry_after)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known name that `word` most likely meant, or None when nothing is near."""
    return next(iter(difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the closest known name, or an empty string."""
    match = closest(word, known)
    return f" Did you mean {match!r}?" if match else ""
