"""The gate's order and its bound, by simulation: any arrivals, any durations, any cancellations."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import DEFAULT_WEIGHTS
from shared.jobs.admission import Gate, Ticket
from shared.jobs.model import Priority

PRIORITIES = list(Priority)


@dataclass(eq=False)
class Job:
    """What a simulated job does, and what became of it. Times are in ticks."""

    priority: Priority
    submitted: int
    duration: int
    gives_up_after: int | None = None
    ahead: int = 0
    arrived: int | None = None
    started: int | None = None
    ticket: Ticket | None = None


@dataclass
class Plan:
    """Jobs, and the instance that runs them: slots, ageing, and how many of each queue the host has in hand."""

    jobs: list[Job]
    slots: int
    ageing: int
    in_hand: int

    @property
    def longest(self) -> int:
        return max((job.duration for job in self.jobs), default=0)

    def bound_in_hand(self, job: Job) -> float:
        """How long a job in hand waits at most, as docs/explanation/priorities.md has it."""
        heaviest = max(DEFAULT_WEIGHTS.values())
        others = len(Priority) * self.in_hand - 1
        return (heaviest - DEFAULT_WEIGHTS[job.priority]) * self.ageing + others * self.longest / self.slots

    def bound(self, job: Job) -> float:
        """How long it waits at most with `ahead` jobs before it in its queue."""
        return (job.ahead // self.in_hand + 1) * (self.bound_in_hand(job) + self.longest)


@dataclass
class Simulation:
    """One instance under a plan: its queues hand out up to `in_hand` messages each, in order."""

    plan: Plan
    now: int = 0
    starts: list[Job] = field(default_factory=list)
    most_at_once: int = 0

    def __post_init__(self) -> None:
        self.gate = Gate(self.plan.slots, DEFAULT_WEIGHTS, self.plan.ageing)
        self._queues: dict[Priority, deque[Job]] = {priority: deque() for priority in Priority}
        self._hand: dict[Priority, set[Job]] = {priority: set() for priority in Priority}
        self._waiting: dict[Ticket, Job] = {}
        self._events: list[tuple[int, int, str, Job]] = []
        self._number = itertools.count()

    def run(self) -> None:
        for job in self.plan.jobs:
            self._at(job.submitted, "submitted", job)
        while self._events:
            self.now = self._events[0][0]
            while self._events and self._events[0][0] == self.now:
                _, _, what, job = heapq.heappop(self._events)
                getattr(self, f"_{what}")(job)
            self._admit()

    def _at(self, when: int, what: str, job: Job) -> None:
        heapq.heappush(self._events, (when, next(self._number), what, job))

    def _submitted(self, job: Job) -> None:
        job.ahead = len(self._queues[job.priority]) + len(self._hand[job.priority])
        self._queues[job.priority].append(job)
        self._deliver(job.priority)

    def _deliver(self, priority: Priority) -> None:
        while self._queues[priority] and len(self._hand[priority]) < self.plan.in_hand:
            job = self._queues[priority].popleft()
            self._hand[priority].add(job)
            job.arrived = self.now
            job.ticket = self.gate.enter(priority, self.now)
            self._waiting[job.ticket] = job
            if job.gives_up_after is not None:
                self._at(self.now + job.gives_up_after, "given_up", job)

    def _given_up(self, job: Job) -> None:
        if job.started is None:
            assert job.ticket is not None
            del self._waiting[job.ticket]
            self._ended(job)

    def _ended(self, job: Job) -> None:
        assert job.ticket is not None
        self.gate.leave(job.ticket)
        self._hand[job.priority].discard(job)
        self._deliver(job.priority)

    def _admit(self) -> None:
        while (ticket := self.gate.admit()) is not None:
            job = self._waiting.pop(ticket)
            assert all(self._urgency(job) >= self._urgency(other) for other in self._waiting.values())
            job.started = self.now
            self.starts.append(job)
            self._at(self.now + job.duration, "ended", job)
        self.most_at_once = max(self.most_at_once, self.gate.running)
        assert self.gate.running == self.plan.slots or not self.gate.waiting, "a slot is free and somebody waits"

    def _urgency(self, job: Job) -> float:
        """Priority weight plus one for every `ageing` that the job has waited in hand."""
        assert job.arrived is not None
        return DEFAULT_WEIGHTS[job.priority] * self.plan.ageing + (self.now - job.arrived)


@st.composite
def plans(draw: st.DrawFn, *, give_up: bool = False) -> Plan:
    longest = draw(st.integers(1, 40))
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(0, 12),
                st.sampled_from(PRIORITIES),
                st.integers(1, longest),
                st.integers(0, 60) if give_up else st.none(),
            ),
            min_size=1,
            max_size=60,
        )
    )
    submitted = itertools.accumulate(gap for gap, *_ in rows)
    jobs = [Job(priority, next(submitted), length, patience) for _, priority, length, patience in rows]
    return Plan(jobs, draw(st.integers(1, 8)), draw(st.integers(1, 60)), draw(st.integers(1, 5)))


@given(plans())
def test_every_job_starts_within_the_bound(plan: Plan) -> None:
    simulation = Simulation(plan)
    simulation.run()
    for job in plan.jobs:
        assert job.started is not None
        assert job.arrived is not None
        assert job.started - job.arrived <= plan.bound_in_hand(job)
        assert job.started - job.submitted <= plan.bound(job)
    assert (simulation.gate.waiting, simulation.gate.running) == (0, 0)


@given(plans(give_up=True))
def test_slots_hold_and_who_gives_up_leaves_nothing_behind(plan: Plan) -> None:
    simulation = Simulation(plan)
    simulation.run()
    assert simulation.most_at_once <= plan.slots
    assert (simulation.gate.waiting, simulation.gate.running) == (0, 0)
    for priority in Priority:
        started = [job.ticket for job in simulation.starts if job.priority is priority]
        assert started == sorted(started, key=lambda ticket: ticket.arrival if ticket else 0), (
            "first come, first served"
        )


def test_the_bound_is_met_and_not_by_far() -> None:
    """A low job behind all that may go before it waits for nearly as long as the formula allows."""
    ageing, length, hand = 10, 8, 4
    early = [Job(priority, 0, length) for priority in (Priority.HIGH, Priority.MEDIUM) for _ in range(hand)]
    low = Job(Priority.LOW, 0, length)
    critical = [Job(Priority.CRITICAL, tick, length) for tick in range(40)]
    plan = Plan([*early, low, *critical], slots=1, ageing=ageing, in_hand=hand)
    Simulation(plan).run()
    assert low.started is not None
    assert plan.bound_in_hand(low) / 2 < low.started <= plan.bound_in_hand(low)


@pytest.mark.parametrize(("later", "first"), [(29, Priority.CRITICAL), (31, Priority.LOW)])
def test_a_low_job_passes_critical_ones_that_arrive_three_ageing_times_later(later: int, first: Priority) -> None:
    gate = Gate(1, DEFAULT_WEIGHTS, 10)
    busy = gate.enter(Priority.CRITICAL, 0)
    assert gate.admit() == busy
    tickets = {gate.enter(Priority.LOW, 0): Priority.LOW, gate.enter(Priority.CRITICAL, later): Priority.CRITICAL}
    assert gate.admit() is None
    gate.leave(busy)
    admitted = gate.admit()
    assert admitted is not None
    assert tickets[admitted] is first


def test_who_comes_back_takes_its_old_place() -> None:
    gate = Gate(1, DEFAULT_WEIGHTS, 10)
    first = gate.enter(Priority.LOW, 0)
    assert gate.admit() == first
    gate.enter(Priority.LOW, 1)
    gate.leave(first)
    again = gate.enter(Priority.LOW, 0)
    assert gate.admit() == again
