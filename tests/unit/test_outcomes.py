"""What an exception of a handler means."""

from __future__ import annotations

from shared.jobs.model import JobError
from shared.jobs.outcomes import MAX_ERROR_MESSAGE, Failed, PermanentError, RetryableError, failure


def test_the_handlers_own_errors_say_whether_to_try_again() -> None:
    retryable = failure(RetryableError("later", code="busy", after=7))
    assert retryable == Failed(JobError("busy", "later", retryable=True), after=7)
    permanent = failure(PermanentError("never", code="gone"))
    assert permanent == Failed(JobError("gone", "never", retryable=False))


def test_an_unforeseen_error_is_tried_again_and_named() -> None:
    assert failure(KeyError("x")) == Failed(JobError("handler_error", "KeyError: 'x'", retryable=True))
    assert failure(ValueError()).error.message == "ValueError: ValueError"


def test_a_long_message_is_cut() -> None:
    for error in (RetryableError("x" * 5000), PermanentError("x" * 5000), ValueError("x" * 5000)):
        assert len(failure(error).error.message) == MAX_ERROR_MESSAGE
