"""Judges a history: was an accepted job lost, an effect doubled, a state changed as it must not? Pure.

Every rule takes acknowledged events only, so that what a crash left unsaid is never held against the product. One thing
is excused, and counted: Azurite answers before its data are on disk, and a kill -9 takes up to `LOSS_SECONDS` of them
back. Cosmos DB's and the broker's data are never excused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from shared.jobs.model import JobState
from shared.jobs.states import TERMINAL, TRANSITIONS
from tests.chaos.history import Event

#: Azurite writes its file every 5 s; the write itself and its start take a little.
LOSS_SECONDS = 7.0
MISSING = "missing"


@dataclass
class Verdict:
    """What was found wrong, one sentence each, by kind of violation; and what was seen in all."""

    lost: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    duplicate_effects: list[str] = field(default_factory=list)
    reruns: list[str] = field(default_factory=list)
    illegal: list[str] = field(default_factory=list)
    uncancelled: list[str] = field(default_factory=list)
    doubled_keys: list[str] = field(default_factory=list)
    excused: list[str] = field(default_factory=list)
    accepted: int = 0
    ended: dict[str, int] = field(default_factory=dict)

    @property
    def violations(self) -> dict[str, list[str]]:
        """All that breaks the contract, by kind."""
        return {
            "lost": self.lost,
            "stuck": self.stuck,
            "duplicate effects": self.duplicate_effects,
            "handler run after the end": self.reruns,
            "illegal": self.illegal,
            "cancelled became completed": self.uncancelled,
            "one key, several jobs": self.doubled_keys,
        }

    @property
    def holds(self) -> bool:
        """Whether the contract held."""
        return not any(self.violations.values())

    def __str__(self) -> str:
        counts = ", ".join(f"{kind} {len(found)}" for kind, found in self.violations.items())
        ended = ", ".join(f"{state} {count}" for state, count in sorted(self.ended.items()))
        lines = [
            f"{self.accepted} jobs accepted; ended: {ended}",
            counts,
            f"excused by lost table writes: {len(self.excused)}",
        ]
        for kind, found in self.violations.items():
            lines += [f"  {kind}: {text}" for text in found[:10]]
        return "\n".join(lines)


def check(events: Iterable[Event]) -> Verdict:
    """The verdict on a history whose events are in order of time."""
    jobs: dict[str, list[Event]] = defaultdict(list)
    everything = list(events)
    for event in everything:
        if event.job:
            jobs[event.job].append(event)
    kills = [event.at for event in everything if event.kind == "table_killed"]
    verdict = Verdict()
    _check_keys(everything, kills, verdict)
    for job, history in jobs.items():
        _Judge(job, history, kills, verdict).judge()
    return verdict


def _check_keys(events: Iterable[Event], kills: Sequence[float], verdict: Verdict) -> None:
    first: dict[str, Event] = {}
    for event in events:
        if event.kind != "accepted" or not event.key:
            continue
        earlier = first.setdefault(event.key, event)
        if earlier.job != event.job:
            text = f"key {event.key}: jobs {earlier.job} and {event.job}"
            where = verdict.excused if _taken_back(earlier, event.at, kills) else verdict.doubled_keys
            where.append(text)


def _taken_back(written: Event | None, seen: float, kills: Sequence[float]) -> bool:
    """Whether what the table had acknowledged by an event may have been gone at `seen`. There may be no such event.

    The table has written it at some time between the event's begin and its end: an author that stands still may note an
    answer long after it came.
    """
    return written is not None and any(
        _begin(written) - 1 <= kill <= written.at + LOSS_SECONDS and kill <= seen for kill in kills
    )


def _begin(event: Event) -> float:
    return event.began or event.at


class _Judge:
    """The rules, over one job's history."""

    def __init__(self, job: str, history: list[Event], kills: Sequence[float], verdict: Verdict) -> None:
        self._job = job
        self._kills = kills
        self._verdict = verdict
        self._by_kind: dict[str, list[Event]] = defaultdict(list)
        for event in history:
            self._by_kind[event.kind].append(event)
        self._began = {event.delivery: event.at for event in self._by_kind["delivery"]}
        self._retried = [event.at for event in self._by_kind["retried"]]

    def judge(self) -> None:
        """Apply every rule."""
        if self._by_kind["accepted"]:
            self._check_end()
        self._check_results()
        self._check_endings()
        self._check_reruns()
        self._check_transitions()
        self._check_observations()
        self._check_cancelled()

    def _blame(self, found: list[str], text: str, written: Event | None, seen: float) -> None:
        """Hold it against the product unless the table has taken back what was written."""
        where = self._verdict.excused if _taken_back(written, seen, self._kills) else found
        where.append(f"job {self._job}: {text}")

    def _check_end(self) -> None:
        """An accepted job ends, and what completed or failed has a result."""
        self._verdict.accepted += 1
        observed = self._by_kind["observed"]
        state = observed[-1].state if observed else MISSING
        self._verdict.ended[state] = self._verdict.ended.get(state, 0) + 1
        if state == MISSING:
            self._verdict.lost.append(f"job {self._job}: accepted, and there is no such job")
        elif state not in TERMINAL:
            self._verdict.stuck.append(f"job {self._job}: still {state}")
        results = self._by_kind["result"]
        if state in {"completed", "failed"} and results and results[-1].value == MISSING:
            self._verdict.lost.append(f"job {self._job}: {state}, but its result is not stored")

    def _check_results(self) -> None:
        """What a client reads as the result of an ended job never changes, unless the job was retried."""
        read = [event for event in self._by_kind["result"] if event.value != MISSING]
        for earlier, later in pairwise(read):
            if earlier.value != later.value and not self._retried_between(earlier.at, later.at):
                self._verdict.duplicate_effects.append(f"job {self._job}: its result changed after the end")
        effects = {event.value for event in self._by_kind["effect"]}
        for event in self._by_kind["result"]:
            if event.state == "completed" and effects and not any(nonce in event.value for nonce in effects):
                self._verdict.duplicate_effects.append(f"job {self._job}: its result is of no execution")

    def _check_endings(self) -> None:
        """A run ends once: after a stored end nothing else is stored for it."""
        ends: dict[int, Event] = {}
        for event in self._by_kind["status"]:
            end = ends.get(event.run)
            if end is not None and _begin(event) > end.at and not self._undoes_a_retry(event, end):
                text = f"run {event.run}: {event.state} stored after {end.state}"
                both = event.state in TERMINAL and event.old != end.state
                self._blame(self._verdict.duplicate_effects if both else self._verdict.illegal, text, end, event.at)
            if event.state in TERMINAL:
                ends.setdefault(event.run, event)
        for event in self._by_kind["stored"]:
            end = ends.get(event.run)
            # A cancelled row comes before its document; a second later it is an effect on what had ended.
            if end is not None and _begin(event) > end.at + 1 and end.state != event.state:
                text = f"run {event.run}: a result stored as {event.state} after {end.state}"
                self._blame(self._verdict.duplicate_effects, text, end, event.at)

    def _undoes_a_retry(self, event: Event, end: Event) -> bool:
        """Whether the row only goes back to its end, for the broker refused the message of a new run."""
        newer = [each for each in self._by_kind["status"] if each.run > event.run and end.at <= each.at <= event.at]
        return event.state == end.state and bool(newer)

    def _check_reruns(self) -> None:
        """No delivery that begins after a run's end was recorded runs the handler of that run again."""
        for start in self._by_kind["start"]:
            began = self._began.get(start.delivery, start.at)
            for end in self._ends_of(start.run):
                if end.at < began:
                    text = f"run {start.run}: handler started by a delivery after the run was recorded as {end.state}"
                    self._blame(self._verdict.reruns, text, self._last_hold(start.run, end.at), began)
                    break

    def _ends_of(self, run: int) -> list[Event]:
        """What recorded the end of a run: its row, or a result that no later claim had made stale by then."""
        statuses = [event for event in self._by_kind["status"] if event.run == run]
        ends = [event for event in statuses if event.state in TERMINAL]
        for stored in self._by_kind["stored"]:
            # An intent counts: whoever wrote the claim may have died before it could say so.
            stale = any(
                claim.run == run and claim.fence > stored.fence and claim.at < stored.at
                for claim in self._by_kind["claiming"]
            )
            # A cancelled end is stored before its row is, and answered only after that.
            if stored.run == run and not stale and stored.state != JobState.CANCELLED:
                ends.append(stored)
        return sorted(ends, key=lambda event: event.at)

    def _last_hold(self, run: int, before: float) -> Event | None:
        """When the row was last written so that its first message is refused: by a claim, or by a cancellation."""
        holds = [
            event
            for event in self._by_kind["status"]
            if event.run == run
            and event.at <= before
            and (event.state == JobState.RUNNING or event.old != JobState.RUNNING)
        ]
        # Of the highest fence: an earlier claim's author may have been slow to say so.
        return max(holds, key=lambda event: (event.fence, event.at), default=None)

    def _check_transitions(self) -> None:
        """Each stored change of state is one of the state machine's."""
        for event in self._by_kind["status"]:
            if event.old and event.state not in TRANSITIONS[JobState(event.old)]:
                # Where the table has taken the claim back, its result is noted on a row that never ran.
                claimed = self._last_hold(event.run, _begin(event))
                self._blame(self._verdict.illegal, f"stored {event.old} -> {event.state}", claimed, event.at)

    def _check_observations(self) -> None:
        """What clients see one after another is a way through the state machine; gaps are allowed."""
        seen = [event for event in self._by_kind["observed"] if event.state != MISSING]
        for earlier, later in pairwise(seen):
            ended = earlier.state in TERMINAL and earlier.state != later.state
            if ended and not self._retried_between(earlier.at, later.at):
                text = f"a client saw {earlier.state}, then {later.state}"
                self._blame(self._verdict.illegal, text, earlier, later.at)

    def _check_cancelled(self) -> None:
        """What was answered as cancelled never becomes completed."""
        for answer in self._by_kind["cancel"]:
            if answer.state != "cancelled":
                continue
            for event in self._by_kind["observed"]:
                wrong = event.state == "completed" and event.at > answer.at
                if wrong and not self._retried_between(answer.at, event.at):
                    self._verdict.uncancelled.append(f"job {self._job}: answered as cancelled, then completed")
                    break

    def _retried_between(self, earlier: float, later: float) -> bool:
        return any(earlier <= at <= later for at in self._retried)
