"""Bad input: each error points at its field and suggests the right one."""

from __future__ import annotations

from typing import Any

import pytest

from shared.errors import InvalidRequestError
from shared.jobs.model import Priority
from shared.service.submit import SubmitRequest
from shared.service.validation import convert

REQUEST: dict[str, Any] = {"job_type": "quote"}


def error_of(body: Any, at: str = "") -> tuple[str, str]:
    with pytest.raises(InvalidRequestError) as caught:
        convert(body, SubmitRequest, at)
    (error,) = caught.value.errors
    return error


def test_a_good_body_is_converted() -> None:
    request = convert({**REQUEST, "priority": "low", "tags": ["a"]}, SubmitRequest)
    assert (request.priority, request.tags, request.payload) == (Priority.LOW, ["a"], {})


@pytest.mark.parametrize(
    ("fields", "pointer", "detail"),
    [
        ({"priority": "urgent"}, "/priority", "'urgent' is not allowed. Allowed: critical, high, low, medium."),
        ({"priority": "hihg"}, "/priority", "'hihg' is not allowed. Did you mean 'high'? Allowed: "),
        ({"max_retries": -1}, "/max_retries", "Expected int >= 0"),
        ({"max_retries": 26}, "/max_retries", "Expected int <= 25"),
        ({"max_retries": "3"}, "/max_retries", "Expected int | null, got str"),
        ({"max_retries": 2.5}, "/max_retries", "Expected int | null, got float"),
        ({"timeout_seconds": 0.5}, "/timeout_seconds", "Expected float >= 1"),
        ({"delay_seconds": -1}, "/delay_seconds", "Expected float >= 0"),
        ({"run_at": "tomorrow"}, "/run_at", "Invalid RFC3339 encoded datetime"),
        ({"payload": [1]}, "/payload", "Expected object, got array"),
        ({"payload": None}, "/payload", "Expected object, got null"),
        ({"job_type": 7}, "/job_type", "Expected str, got int"),
        ({"tags": ["a", ""]}, "/tags/1", "Expected str of length >= 1"),
        ({"tags": ["a", 2]}, "/tags/1", "Expected str, got int"),
        ({"tags": ["a"] * 21}, "/tags", "Expected array of length <= 20"),
        ({"prioritty": "low"}, "/prioritty", "unknown field. Did you mean 'priority'? Known: job_type, payload, "),
        ({"zzz": 1}, "/zzz", "unknown field. Known: job_type"),
        ({"a/b~c": 1}, "/a~1b~0c", "unknown field. Known: job_type"),  # escaped as RFC 6901 asks
    ],
)
def test_a_wrong_field_is_pointed_at(fields: dict[str, Any], pointer: str, detail: str) -> None:
    found = error_of({**REQUEST, **fields})
    assert found[0] == pointer
    assert found[1].startswith(detail)


def test_a_missing_field_is_pointed_at() -> None:
    assert error_of({"payload": {}}) == ("/job_type", "required, but missing.")


@pytest.mark.parametrize("body", [None, [], "text", 5, True])
def test_a_body_that_is_no_object_is_pointed_at_as_a_whole(body: Any) -> None:
    pointer, detail = error_of(body)
    assert pointer == ""
    assert detail.startswith("Expected object, got")


def test_pointers_begin_where_the_data_stands_in_the_body() -> None:
    assert error_of({"job_type": 1}, at="/jobs/3")[0] == "/jobs/3/job_type"


def test_the_sentence_names_the_field_too() -> None:
    with pytest.raises(InvalidRequestError, match=r"^/priority: 'urgent' is not allowed"):
        convert({**REQUEST, "priority": "urgent"}, SubmitRequest)
