"""The checker finds what it is there to find, and nothing where there is nothing."""

from __future__ import annotations

import random
from collections.abc import Callable

import msgspec
import pytest

from tests.chaos.checker import Verdict, check
from tests.chaos.history import Event


def event(at: float, kind: str, **fields: object) -> Event:
    return Event(at=at, kind=kind, **{"job": "a", **fields})  # type: ignore[arg-type]


GOOD = [
    event(0, "accepted", key="k"),
    event(1, "delivery", delivery="d1"),
    event(2, "status", old="queued", state="running", fence=1, delivery="d1", attempt=1),
    event(3, "start", delivery="d1", attempt=1, value="n1"),
    event(3.5, "observed", state="running"),
    event(4, "effect", attempt=1, value="n1"),
    event(5, "stored", state="completed", fence=1, value='{"nonce":"n1"}'),
    event(6, "status", old="running", state="completed", fence=1, delivery="d1", attempt=1),
    event(7, "observed", state="completed"),
    event(8, "result", state="completed", value='{"nonce":"n1"}'),
    event(20, "observed", state="completed"),
    event(21, "result", state="completed", value='{"nonce":"n1"}'),
]
RERUN = [event(10, "delivery", delivery="d2"), event(11, "start", delivery="d2", attempt=1, value="n2")]


def verdict_on(*more: Event, without: Callable[[Event], bool] = lambda _: False) -> Verdict:
    history = [each for each in GOOD if not without(each)] + list(more)
    return check(sorted(history, key=lambda each: each.at))


def test_a_good_history_holds() -> None:
    verdict = check(GOOD)
    assert verdict.holds, str(verdict)
    assert verdict.accepted == 1
    assert verdict.ended == {"completed": 1}


BAD: dict[str, tuple[str, list[Event], Callable[[Event], bool]]] = {
    "a job that nobody finds": (
        "lost",
        [event(30, "observed", state="missing")],
        lambda each: each.kind in {"observed", "result"},
    ),
    "a job that nobody ever looked at": ("lost", [], lambda each: each.kind in {"observed", "result"}),
    "an end without a result": ("lost", [event(30, "result", value="missing")], lambda each: each.kind == "result"),
    "a job that does not end": ("stuck", [event(30, "observed", state="queued")], lambda each: each.at > 5),
    "a result that changes": (
        "duplicate effects",
        [event(30, "result", state="completed", value="n1 n3")],
        lambda _: False,
    ),
    "a result of nobody": (
        "duplicate effects",
        [event(30, "result", state="completed", value="n9")],
        lambda each: each.kind == "result",
    ),
    "a second end": (
        "duplicate effects",
        [event(30, "status", old="running", state="failed", fence=2)],
        lambda _: False,
    ),
    "a result stored over the end": (
        "duplicate effects",
        [event(30, "stored", state="failed", fence=2, value="x")],
        lambda _: False,
    ),
    "a handler run again": ("handler run after the end", RERUN, lambda _: False),
    "an illegal change": (
        "illegal",
        [event(1.5, "status", old="queued", state="completed")],
        lambda each: each.kind == "status",
    ),
    "a claim after the end": (
        "illegal",
        [event(30, "status", old="queued", state="running", fence=2)],
        lambda _: False,
    ),
    "a client that sees it come back": ("illegal", [event(15, "observed", state="queued")], lambda _: False),
    "a cancelled job that completes": (
        "cancelled became completed",
        [event(1, "cancel", state="cancelled")],
        lambda _: False,
    ),
    "a key with two jobs": ("one key, several jobs", [event(9, "accepted", job="b", key="k")], lambda _: False),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_found_out(name: str) -> None:
    kind, more, without = BAD[name]
    verdict = verdict_on(*more, without=without)
    assert verdict.violations[kind], str(verdict)
    assert not verdict.excused


def test_a_retry_may_change_state_and_result() -> None:
    again = [
        event(30, "retried"),
        event(31, "status", run=2, old="failed", state="queued"),
        event(32, "observed", state="queued"),
        event(33, "observed", state="completed"),
        event(34, "effect", run=2, value="n5"),
        event(35, "result", state="completed", value="n5"),
    ]
    assert verdict_on(*again).holds


def test_a_retry_that_the_broker_refused_is_undone() -> None:
    history = [
        event(0, "status", old="running", state="failed", fence=1),
        event(1, "status", run=2, old="failed", state="queued", fence=2),
        event(2, "status", old="queued", state="failed", fence=1),
    ]
    assert check(history).holds
    assert check([history[0], history[2]]).duplicate_effects


def test_a_cancelled_end_counts_from_its_row_on() -> None:
    history = [
        event(0, "stored", state="cancelled", fence=1),
        event(1, "delivery", delivery="d1"),
        event(2, "status", old="queued", state="running", fence=1, delivery="d1"),
        event(3, "start", delivery="d1", value="n1"),
        event(4, "status", old="running", state="cancelled", fence=1),
    ]
    assert check(history).holds
    assert check([*history, *RERUN]).reruns


def test_a_stale_owner_s_result_does_not_end_the_run() -> None:
    """An owner whose lease is over stores its result after another has claimed the job, and that one dies."""
    history = [
        event(0, "accepted"),
        event(1, "delivery", delivery="d1"),
        event(2, "status", old="queued", state="running", fence=1, delivery="d1"),
        event(8, "delivery", delivery="d2"),
        event(8.9, "claiming", fence=2),
        event(9, "stored", state="completed", fence=1, value="n1"),
        event(9.1, "status", old="running", state="running", fence=2, delivery="d2"),
        event(15, "delivery", delivery="d3"),
        event(16, "status", old="running", state="running", fence=3, delivery="d3"),
        event(17, "start", delivery="d3", value="n3"),
        event(18, "effect", value="n3"),
        event(19, "status", old="running", state="completed", fence=3),
        event(20, "observed", state="completed"),
        event(21, "result", state="completed", value="n3"),
    ]
    verdict = check(history)
    assert verdict.holds, str(verdict)


def test_what_was_written_before_the_end_may_be_recorded_after_it() -> None:
    late = event(9, "status", began=1.9, old="queued", state="running", fence=0)
    assert verdict_on(late).holds


def test_a_cancelled_job_that_ran_although_its_result_stayed_is_excused_by_a_lost_row_alone() -> None:
    history = [
        event(0, "accepted"),
        event(1, "status", old="queued", state="cancelled", fence=1),
        event(1.1, "stored", state="cancelled", fence=1),
        event(5, "delivery", delivery="d1"),
        event(6, "start", delivery="d1", value="n1"),
        event(9, "observed", state="cancelled"),
    ]
    assert check(history).reruns
    lost = sorted([*history, event(3, "table_killed", job="")], key=lambda each: each.at)
    assert check(lost).holds


def test_what_a_killed_table_took_back_is_excused_and_counted() -> None:
    lost_row = [event(9, "table_killed", job=""), *RERUN, event(15, "observed", state="queued")]
    verdict = verdict_on(*lost_row)
    assert verdict.holds, str(verdict)
    assert verdict.excused


def test_a_result_noted_on_a_row_whose_claim_was_taken_back_is_excused() -> None:
    noted = [event(6.5, "table_killed", job=""), event(6.8, "status", old="queued", state="completed", fence=1)]
    verdict = verdict_on(*noted)
    assert verdict.holds, str(verdict)
    assert verdict.excused


def test_a_second_claim_of_a_row_whose_claim_was_taken_back_is_excused() -> None:
    """The first owner goes on, and stores its result; a copy of the message finds the row as it was before."""
    history = [
        event(1, "delivery", delivery="d1"),
        event(2, "status", old="queued", state="running", fence=1, delivery="d1"),
        event(4.9, "stored", state="completed", fence=1),
        event(5, "delivery", delivery="d2"),
        event(5.1, "status", old="queued", state="running", fence=1, delivery="d2"),
        event(5.2, "start", delivery="d2", value="n2"),
    ]
    assert check(history).reruns
    lost = sorted([*history, event(3, "table_killed", job="")], key=lambda each: each.at)
    assert check(lost).holds


def test_a_kill_long_after_the_write_excuses_nothing() -> None:
    late = [event(40, "table_killed", job=""), event(41, "observed", state="queued")]
    assert verdict_on(*late).illegal


def test_a_lost_table_write_does_not_excuse_a_changed_result() -> None:
    changed = [event(9, "table_killed", job=""), event(30, "result", state="completed", value="n1 again")]
    assert verdict_on(*changed).duplicate_effects


@pytest.mark.parametrize("seed", range(20))
def test_one_bad_job_among_many_good_ones_is_found(seed: int) -> None:
    rng = random.Random(seed)
    history: list[Event] = []
    guilty, name = rng.randrange(50), rng.choice(sorted(BAD))
    kind, more, without = BAD[name]
    for number in range(50):
        events = [each for each in GOOD if number != guilty or not without(each)]
        offset = rng.random() * 100
        for each in [*events, *(more if number == guilty else [])]:
            job, key = f"{number}-{each.job}", each.key and str(number)
            history.append(msgspec.structs.replace(each, at=each.at + offset, job=job, key=key))
    verdict = check(sorted(history, key=lambda each: each.at))
    assert verdict.violations[kind], f"seed {seed}: {name}\n{verdict}"
    blamed = [text for texts in verdict.violations.values() for text in texts]
    assert all(f"{guilty}-a" in text or f"{guilty}-b" in text for text in blamed), str(verdict)


SLOW_END = [
    event(5.5, "status", began=2.1, old="running", state="completed", fence=1, delivery="d1", attempt=1),
    event(15, "status", old="running", state="completed", fence=1, delivery="d2", attempt=1),
]


@pytest.mark.parametrize(("killed", "violations"), [(-6, 1), (3, 0), (12.4, 0), (13, 1), (16, 1)])
def test_a_write_that_was_noted_late_may_have_been_taken_back_since_it_began(killed: float, violations: int) -> None:
    """Its author stood still: the answer had come before the table was killed, and was noted after it."""
    kill = event(killed, "table_killed", job="")
    verdict = verdict_on(*SLOW_END, kill, without=lambda each: each.kind == "status" and each.state == "completed")
    assert len(verdict.duplicate_effects) + len(verdict.illegal) == violations, str(verdict)
    assert len(verdict.excused) == 1 - violations
