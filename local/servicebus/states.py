"""The states and outcomes of messages, and what a queue expects of those it works with."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Protocol

from local.servicebus.message import Delivery
from local.servicebus.store import Message

if TYPE_CHECKING:
    from local.servicebus.queue import Queue


class State(IntEnum):
    """A message's state as receivers see it in `x-opt-message-state`."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


class Outcome(Enum):
    """What a receiver decides about a message that it has locked."""

    COMPLETE = "complete"
    ABANDON = "abandon"  # deliver again; the delivery counts
    RELEASE = "release"  # deliver again as if it had not been delivered
    DEFER = "defer"  # only by sequence number from now on
    DEAD_LETTER = "dead-letter"


class Receiver(Protocol):
    """Someone who takes messages from a queue, as long as it has credit."""

    receives_and_deletes: bool
    is_waiting: bool  # kept by the queue: whether this receiver stands in its line

    def can_take(self) -> bool:
        """Whether another message may be handed over now."""

    def reserve(self) -> None:
        """One message has been assigned: it is delivered after the commit."""

    def deliver(self, queue: Queue, message: Message, delivery: Delivery) -> None:
        """The message, committed as locked or deleted."""


class Namespace(Protocol):
    """What a queue knows of the world around it."""

    def find(self, name: str) -> Queue | None:
        """Another queue by its name."""

    def touch(self, queue: Queue) -> None:
        """A queue has both messages and receivers: dispatch it before the next commit."""

    def set_alarm(self, when: float) -> None:
        """A queue wants its `ring` called then."""
