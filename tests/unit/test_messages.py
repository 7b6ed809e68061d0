"""Messages of this release, of those around it, and of none."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.messages import NewerMessageError, UndecodableMessageError, decode_message
from shared.jobs.model import MESSAGE_VERSION, Job, JobMessage
from tests.unit.examples import a_job


def required(job: Job) -> dict[str, Any]:
    """The fields of a job that every release has written."""
    names = {field.encode_name for field in msgspec.structs.fields(Job) if field.required}
    return {name: value for name, value in json.loads(msgspec.json.encode(job)).items() if name in names}


def test_a_message_is_read_as_it_was_written() -> None:
    message = JobMessage(job=a_job(tags=("a",)), attempt=3, etag="e")
    assert decode_message(msgspec.json.encode(message)) == message


def test_what_an_older_release_does_not_write_is_filled_in() -> None:
    job = a_job()
    old = {"version": MESSAGE_VERSION, "job": required(job), "attempt": 1}
    message = decode_message(json.dumps(old).encode())
    assert (message.job.job_id, message.job.payload, message.attempt) == (job.job_id, job.payload, 1)
    assert (message.etag, message.job.fence, message.job.tags) == ("", 0, ())


@given(st.dictionaries(st.text(min_size=1).map("new_{}".format), st.integers() | st.text() | st.none(), min_size=1))
def test_what_a_newer_release_adds_is_passed_over(added: dict[str, Any]) -> None:
    message = JobMessage(job=a_job(), attempt=1)
    newer = json.loads(msgspec.json.encode(message))
    newer |= added
    newer["job"] |= added
    assert decode_message(json.dumps(newer).encode()) == message


@given(st.integers(MESSAGE_VERSION + 1, 2**31), st.dictionaries(st.sampled_from(["job", "attempt"]), st.integers()))
def test_a_newer_version_is_told_from_rubbish(version: int, rest: dict[str, Any]) -> None:
    with pytest.raises(NewerMessageError, match=str(version)):
        decode_message(json.dumps({"version": version, **rest}).encode())


@given(st.binary())
def test_whatever_else_comes_is_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableMessageError):
        decode_message(body)


@pytest.mark.parametrize("body", [b"{}", b'{"version":1}', b'{"version":"1"}', b'{"version":1,"job":{},"attempt":1}'])
def test_a_message_without_its_parts_is_undecodable(body: bytes) -> None:
    with pytest.raises(UndecodableMessageError):
        decode_message(body)
