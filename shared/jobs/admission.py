"""Who may run next in an instance: a bounded number of slots, given out by priority and age. Pure, no clock of its own.

The order is static: a job that arrives in the gate at time t with priority weight w has the key t - w * ageing, and the
lowest key goes first. So the highest priority goes first, jobs of one level go in the order of their arrival, and a job
passes those of a level n higher that arrive n * ageing later than itself: nothing starves.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Mapping
from datetime import datetime

import msgspec

from shared.jobs.model import Priority


class Refusal(msgspec.Struct, frozen=True):
    """Why a job may not run now, and when to ask again. `lines_up`: it has a place in a line for that time."""

    until: datetime
    reason: str
    lines_up: bool = False


class Ticket(msgspec.Struct, frozen=True, order=True):
    """A place in the gate. Tickets sort by the order in which they are served."""

    key: float
    arrival: int


class Gate:
    """The slots of one instance, and who waits for them.

    `enter`, then `admit` until it has nobody more to let in, and `leave` for every ticket in the end, whether it waits
    or holds a slot.
    """

    def __init__(self, slots: int, weights: Mapping[Priority, int], ageing_seconds: float) -> None:
        self._slots = slots
        self._weights = weights
        self._ageing = ageing_seconds
        self._arrivals = itertools.count()
        self._waiting: list[Ticket] = []
        self._running: set[Ticket] = set()

    def enter(self, priority: Priority, arrived: float) -> Ticket:
        """Line up. `arrived` is in seconds of any clock that does not jump; who comes back gives its first arrival."""
        ticket = Ticket(arrived - self._weights[priority] * self._ageing, next(self._arrivals))
        bisect.insort(self._waiting, ticket)
        return ticket

    def admit(self) -> Ticket | None:
        """Give a free slot to the first in line; None when there is no free slot or nobody waits."""
        if not self._waiting or len(self._running) >= self._slots:
            return None
        ticket = self._waiting.pop(0)
        self._running.add(ticket)
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Give back the slot, or the place in line."""
        if ticket in self._running:
            self._running.remove(ticket)
        else:
            self._waiting.remove(ticket)

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """How many hold a slot."""
        return len(self._running)
