"""Spans: whose child each is, what they inherit, and where the current one is known."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.service.tracing import (
    NoTelemetry,
    Span,
    SpanKind,
    background_task,
    current_span,
    dependency,
    parse_traceparent,
    request,
    tag,
)

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Spans(NoTelemetry):
    """Keeps what is recorded."""

    def __init__(self) -> None:
        self.ended: list[Span] = []

    def record(self, span: Span) -> None:
        self.ended.append(span)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{'0' * 16}-01",
        f"ff-{TRACE_ID}-{PARENT_ID}-01",
        f"00-{TRACE_ID}-{PARENT_ID}-01\n",
        f"00-{TRACE_ID.upper()}-{PARENT_ID}-01",
    ],
)
def test_what_is_no_traceparent_begins_a_trace_of_its_own(text: str) -> None:
    assert parse_traceparent(text) is None
    with request(NoTelemetry(), "work", text) as span:
        assert (span.parent_id, len(span.trace_id)) == ("", 32)
        assert parse_traceparent(span.traceparent) == (span.trace_id, span.span_id)


def test_a_child_hangs_under_its_parent_and_is_found_by_what_its_parent_is_found_by() -> None:
    spans = Spans()
    with request(spans, "work", f"00-{TRACE_ID}-{PARENT_ID}-01", job_id="j") as parent:
        tag(attempt="1")
        with dependency("HTTP", "host", "GET host") as child:
            assert child is current_span()
        assert current_span() is parent
    assert current_span() is None
    assert spans.ended == [child, parent], "in the order of their ends"
    assert child is not None
    assert (parent.trace_id, parent.parent_id) == (TRACE_ID, PARENT_ID)
    assert (child.trace_id, child.parent_id, child.kind) == (TRACE_ID, parent.span_id, SpanKind.DEPENDENCY)
    assert child.dimensions == {"job_id": "j", "attempt": "1"}
    assert 0 <= child.seconds <= parent.seconds


def test_without_a_span_a_call_is_nobodys_and_a_tag_is_nothing() -> None:
    tag(job_id="j")
    with dependency("HTTP", "host", "GET host") as span:
        assert span is None


def test_what_is_raised_ends_a_span_as_a_failure_and_goes_on() -> None:
    spans = Spans()
    with pytest.raises(KeyError), request(spans, "work", ""):
        raise KeyError("payload that nobody may read")
    (span,) = spans.ended
    assert (span.success, span.result) == (False, "KeyError")
    assert "payload" not in repr(span)


async def test_tasks_and_threads_started_with_the_context_are_in_the_span_a_background_task_is_not() -> None:
    async def seen() -> Span | None:
        await asyncio.sleep(0)
        return current_span()

    found: list[Span | None] = []

    async def look() -> None:
        found.append(current_span())

    with request(NoTelemetry(), "one", "") as one, ThreadPoolExecutor(1) as pool:
        task = asyncio.create_task(seen())
        in_thread = pool.submit(contextvars.copy_context().run, current_span)
        await background_task(look())
        with request(NoTelemetry(), "other", "") as other:
            assert await asyncio.create_task(seen()) is other
        assert await task is one
        assert in_thread.result(10) is one
    assert found == [None]
