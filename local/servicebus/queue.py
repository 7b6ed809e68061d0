"""One queue's rules: what happens to a message from its arrival to its end. No network, and the time is an argument.

    arrives -> scheduled -> active <-> locked -> completed (gone)
                                         |-> deferred <-> locked
                                         `-> dead-lettered (another queue)
Times are seconds since the epoch.
"""

from __future__ import annotations

import heapq
import math
import os
from collections import deque

from local.servicebus import message as wire
from local.servicebus.alarms import LazyHeap
from local.servicebus.config import QueueProperties
from local.servicebus.errors import (
    EntityDisabledError,
    LockLostError,
    MessageNotFoundError,
    NotAllowedError,
)
from local.servicebus.states import Namespace, Outcome, Receiver, State
from local.servicebus.store import Message, Store

DEAD_LETTER_SUFFIX = "/$deadletterqueue"
#: A forwarded message goes through at most this many queues, as in the real service.
MAX_HOPS = 4


class Queue:
    """Messages in the order of their sequence numbers, with locks, time to live and a dead-letter queue.

    Whoever changes a queue commits the store and only then tells anyone.
    """

    def __init__(
        self,
        key: int,
        name: str,
        properties: QueueProperties,
        store: Store,
        namespace: Namespace,
        *,
        dead_letters: Queue | None = None,
        created_at: float = 0.0,
    ) -> None:
        """Load the queue from the store. `dead_letters` is None for a dead-letter queue itself."""
        self.key = key
        self.name = name
        self.properties = properties
        self.dead_letters = dead_letters
        self.created_at = self.updated_at = self.accessed_at = created_at
        self.size_bytes = 0
        self.scheduled_count = 0
        self._store = store
        self._namespace = namespace
        self._messages: dict[int, Message] = {}
        self._ready: LazyHeap[int] = LazyHeap(self._is_available)  # sequence numbers
        self._alarms: LazyHeap[tuple[float, int]] = LazyHeap(self._is_due_then)  # when to look at which number
        self._locked: dict[bytes, Message] = {}
        self._line: deque[Receiver] = deque()
        self._next_sequence_number = store.counter(key)
        for message in store.messages(key):
            self._hold(message)

    @property
    def active_count(self) -> int:
        return len(self._messages) - self.scheduled_count

    def close(self) -> None:
        """The queue was deleted: nothing in it can be received or settled any more."""
        self._messages.clear()
        self._locked.clear()
        self._line.clear()

    # Arrival ---------------------------------------------------------------------------------------------------------

    def put(self, body: bytes, now: float, *, hops: int = 0) -> int:
        """Take a message and return its sequence number. A duplicate is dropped without a word, as the service does.

        Whether sending is enabled is the caller's question: what is forwarded arrives regardless.
        Raises DecodeError for bytes that are no message.
        """
        facts = wire.facts(body)
        properties = self.properties
        self.accessed_at = now
        if properties.requires_duplicate_detection and facts.message_id is not None:
            until = now + properties.duplicate_detection_history_time_window
            if self._store.seen_before(self.key, facts.message_id, now, until):
                return self._take_number()
        ttl = min(facts.ttl, properties.default_message_time_to_live)
        if facts.scheduled_at > now:
            message = self._new(body, now, ttl, State.SCHEDULED, due_at=facts.scheduled_at)
        elif properties.forward_to and (target := self._forward_target(hops)) is not None:
            return target.put(body, now, hops=hops + 1)
        else:
            message = self._new(body, now, ttl, State.ACTIVE)
        self._keep(message)
        return message.sequence_number

    def check_can_send(self) -> None:
        """Raises EntityDisabledError."""
        if self.properties.status in {"Disabled", "SendDisabled"}:
            raise EntityDisabledError(f"Messaging entity '{self.name}' is currently disabled for sending.")

    def check_can_receive(self) -> None:
        """Raises EntityDisabledError."""
        if self.properties.status in {"Disabled", "ReceiveDisabled"}:
            raise EntityDisabledError(f"Messaging entity '{self.name}' is currently disabled for receiving.")

    def _forward_target(self, hops: int) -> Queue | None:
        """Where ForwardTo leads; None where it leads nowhere and the message has to stay here."""
        return self._namespace.find(self.properties.forward_to) if hops < MAX_HOPS else None

    def _take_number(self) -> int:
        number = self._next_sequence_number
        self._next_sequence_number += 1
        self._store.set_counter(self.key, self._next_sequence_number)
        return number

    def _new(self, body: bytes, now: float, ttl: float, state: State, *, due_at: float = 0.0) -> Message:
        number = self._take_number()
        key = self._store.next_message_id()
        return Message(key, self.key, number, number, state, 0, now, due_at, ttl, len(body), body)

    def _keep(self, message: Message) -> None:
        self._store.add(message)
        self._hold(message)

    def _hold(self, message: Message) -> None:
        """Keep a message in memory, where its state says."""
        self._messages[message.sequence_number] = message
        self.size_bytes += message.size
        if message.state == State.SCHEDULED:
            self.scheduled_count += 1
            self._set_alarm(message.due_at, message)
        elif message.state == State.ACTIVE:
            self._offer(message)

    def _offer(self, message: Message) -> None:
        """Make an active message available to receivers."""
        self._ready.push(message.sequence_number, len(self._messages))
        if self._line:
            self._namespace.touch(self)
        if message.expires_at != math.inf and self.dead_letters is not None:
            self._set_alarm(message.expires_at, message)

    def _is_available(self, number: int) -> bool:
        message = self._messages.get(number)
        return message is not None and message.state == State.ACTIVE and message.lock_token is None

    def _drop(self, message: Message) -> None:
        """Remove a message from memory and disk."""
        self._store.remove(message)
        self._let_go(message)

    def _let_go(self, message: Message) -> None:
        del self._messages[message.sequence_number]
        self.size_bytes -= message.size
        if message.state == State.SCHEDULED:
            self.scheduled_count -= 1

    # Delivery --------------------------------------------------------------------------------------------------------

    def wait(self, receiver: Receiver) -> None:
        """Put a receiver that has credit at the end of the line, if it is not in it."""
        if not receiver.is_waiting:
            receiver.is_waiting = True
            self._line.append(receiver)
            if self._ready:
                self._namespace.touch(self)

    def leave(self, receiver: Receiver) -> None:
        """Take a receiver that is gone out of the line."""
        if receiver.is_waiting:
            receiver.is_waiting = False
            self._line.remove(receiver)

    def dispatch(self, now: float) -> list[tuple[Receiver, Message, wire.Delivery]]:
        """Assign available messages to waiting receivers in turn; each is to be delivered after the commit."""
        assigned = []
        while self._line and (message := self._first_available(now)) is not None:
            receiver = self._line.popleft()
            receiver.is_waiting = False
            if not receiver.can_take():
                continue
            self._ready.pop()
            receiver.reserve()
            assigned.append((receiver, message, self._hand_out(message, now, delete=receiver.receives_and_deletes)))
            if receiver.can_take():
                receiver.is_waiting = True
                self._line.append(receiver)
        return assigned

    def _first_available(self, now: float) -> Message | None:
        """The available message with the lowest number, left at the top of the heap."""
        if self.properties.status in {"Disabled", "ReceiveDisabled"}:
            return None
        while (number := self._ready.first()) is not None:
            message = self._messages[number]
            if self.dead_letters is None or message.expires_at > now:
                return message
            self._expire(message, now)
        return None

    def _hand_out(self, message: Message, now: float, *, delete: bool) -> wire.Delivery:
        self.accessed_at = now
        if delete:
            delivery = self.describe(message)
            self._drop(message)
            message.body = self._store.body(message)  # it is delivered after the commit, when the disk has it no more
            return delivery
        message.lock_token = os.urandom(16)
        message.locked_until = now + self.properties.lock_duration
        self._locked[message.lock_token] = message
        self._set_alarm(message.locked_until, message)
        self._store.change(message)
        return self.describe(message)

    def describe(self, message: Message) -> wire.Delivery:
        return wire.Delivery(
            message.sequence_number,
            message.enqueue_sequence_number,
            message.enqueued_at,
            message.state,
            message.delivery_count,
            message.ttl,
            message.lock_token,
            message.locked_until,
        )

    def render(self, message: Message, delivery: wire.Delivery) -> bytes:
        """The message as a receiver gets it."""
        return wire.render(self._store.body(message), delivery)

    # Settlement ------------------------------------------------------------------------------------------------------

    def settle(
        self, token: bytes, outcome: Outcome, now: float, reason: str | None = None, description: str | None = None
    ) -> None:
        """Apply what a receiver decided about the message that it locked. Raises LockLostError, NotAllowedError."""
        message = self._locked_message(token, now)
        if outcome is Outcome.DEAD_LETTER and self.dead_letters is None:
            raise NotAllowedError(f"'{self.name}' is a dead-letter queue: its messages cannot be dead-lettered again.")
        self._unlock(message, token)
        self.accessed_at = now
        if outcome is Outcome.COMPLETE:
            self._drop(message)
        elif outcome is Outcome.RELEASE:
            self._return(message)
        elif outcome is Outcome.ABANDON:
            self._delivery_failed(message, now)
        elif outcome is Outcome.DEFER:
            message.state = State.DEFERRED
            message.delivery_count += 1  # AMQP 3.4.5: "modified" with delivery-failed counts
            self._store.change(message)
        else:
            self._dead_letter(message, now, reason, description)

    def renew(self, token: bytes, now: float) -> float:
        """Lock a locked message anew and return until when. Raises LockLostError."""
        message = self._locked_message(token, now)
        message.locked_until = now + self.properties.lock_duration
        self._set_alarm(message.locked_until, message)
        return message.locked_until

    def is_locked(self, token: bytes) -> bool:
        return token in self._locked

    def _locked_message(self, token: bytes, now: float) -> Message:
        message = self._locked.get(token)
        if message is None or message.locked_until <= now:
            raise LockLostError(
                "The lock supplied is invalid. Either the lock expired, or the message has already been removed from "
                f"the queue '{self.name}'."
            )
        return message

    def _unlock(self, message: Message, token: bytes) -> None:
        del self._locked[token]
        message.lock_token = None
        message.locked_until = 0.0

    def _return(self, message: Message) -> None:
        self._store.change(message)
        if message.state == State.ACTIVE:
            self._offer(message)

    def _delivery_failed(self, message: Message, now: float) -> None:
        message.delivery_count += 1
        if self.dead_letters is None or message.delivery_count < self.properties.max_delivery_count:
            self._return(message)
        else:
            self._dead_letter_exhausted(message, now)

    def _dead_letter_exhausted(self, message: Message, now: float) -> None:
        text = f"Message could not be consumed after {self.properties.max_delivery_count} delivery attempts."
        self._dead_letter(message, now, "MaxDeliveryCountExceeded", text)

    def _expire(self, message: Message, now: float) -> None:
        if self.properties.dead_lettering_on_message_expiration:
            self._dead_letter(message, now, "TTLExpiredException", "The message expired and was dead lettered.")
        else:
            self._drop(message)

    def _dead_letter(self, message: Message, now: float, reason: str | None, description: str | None) -> None:
        """Move a message to where this queue's dead letters go."""
        body = wire.dead_lettered(self._store.body(message), reason, description)
        self._drop(message)
        target = self._namespace.find(self.properties.forward_dead_lettered_messages_to)
        if target is not None:
            target.take_forwarded_dead_letter(wire.forwarded_from(body, self.name), now)
        elif self.dead_letters is not None:
            self.dead_letters.take_dead_letter(body, message)

    def take_dead_letter(self, body: bytes, source: Message) -> None:
        """Keep a dead letter of the queue whose dead-letter queue this is; it keeps its history and never expires."""
        letter = self._new(body, source.enqueued_at, source.ttl, State.ACTIVE)
        letter.delivery_count = source.delivery_count
        letter.enqueue_sequence_number = source.enqueue_sequence_number
        self._keep(letter)

    def take_forwarded_dead_letter(self, body: bytes, now: float) -> None:
        """Keep another queue's dead letter, even if sending here is disabled; it lives as long as this queue says.

        Its own time to live has done its work: one that expired would otherwise expire here at once.
        """
        properties = self.properties
        message_id = wire.facts(body).message_id
        if properties.requires_duplicate_detection and message_id is not None:
            until = now + properties.duplicate_detection_history_time_window
            if self._store.seen_before(self.key, message_id, now, until):
                return
        self._keep(self._new(body, now, properties.default_message_time_to_live, State.ACTIVE))

    # Operations by sequence number -----------------------------------------------------------------------------------

    def cancel(self, numbers: list[int]) -> None:
        """Remove scheduled messages. Raises MessageNotFoundError, and then removes none."""
        for message in self._all_in_state(numbers, State.SCHEDULED):
            self._drop(message)

    def receive_deferred(self, numbers: list[int], now: float, *, delete: bool) -> list[tuple[Message, wire.Delivery]]:
        """Lock (or delete) deferred messages. Raises MessageNotFoundError, and then takes none."""
        self.check_can_receive()
        messages = self._all_in_state(numbers, State.DEFERRED)
        return [(message, self._hand_out(message, now, delete=delete)) for message in messages]

    def _all_in_state(self, numbers: list[int], state: State) -> list[Message]:
        messages = []
        for number in numbers:
            message = self._messages.get(number)
            if message is None or message.state != state or message.lock_token is not None:
                raise MessageNotFoundError(f"'{self.name}' has no {state.name.lower()} message number {number}.")
            messages.append(message)
        return messages

    def peek(self, from_number: int, count: int) -> list[Message]:
        """Up to `count` messages of any state, locked ones too, from a sequence number on."""
        numbers = heapq.nsmallest(count, (number for number in self._messages if number >= from_number))
        return [self._messages[number] for number in numbers]

    # Time ------------------------------------------------------------------------------------------------------------

    def next_alarm(self) -> float | None:
        """When `ring` has something to do next."""
        alarm = self._alarms.first()
        return alarm[0] if alarm else None

    def ring(self, now: float) -> None:
        """Do what is due: activate scheduled messages, end locks, expire messages."""
        while (alarm := self._alarms.first()) is not None and alarm[0] <= now:
            self._alarms.pop()
            message = self._messages[alarm[1]]
            if message.lock_token is not None:
                self._unlock(message, message.lock_token)
                self._delivery_failed(message, now)
            elif message.state == State.SCHEDULED:
                self._activate(message, now)
            else:
                self._expire(message, now)

    def dead_letter_exhausted(self, now: float) -> None:
        """After a restart: a message whose last allowed delivery was under way has had all its deliveries."""
        for message in list(self._messages.values()):
            if message.state == State.ACTIVE and message.delivery_count >= self.properties.max_delivery_count:
                self._dead_letter_exhausted(message, now)

    def _activate(self, message: Message, now: float) -> None:
        """A scheduled message joins the end of the queue with a new number, or goes where the queue forwards."""
        if self.properties.forward_to and (target := self._forward_target(0)) is not None:
            body = self._store.body(message)
            self._drop(message)
            target.put(body, now, hops=1)
            return
        self._let_go(message)
        message.sequence_number = message.enqueue_sequence_number = self._take_number()
        message.state, message.enqueued_at, message.due_at = State.ACTIVE, now, 0.0
        self._store.change(message)
        self._hold(message)

    def _set_alarm(self, when: float, message: Message) -> None:
        self._alarms.push((when, message.sequence_number), 2 * len(self._messages))
        self._namespace.set_alarm(when)

    def _is_due_then(self, alarm: tuple[float, int]) -> bool:
        """Whether an alarm still stands: the message is there and waits for that very moment."""
        when, number = alarm
        message = self._messages.get(number)
        if message is None:
            return False
        if message.lock_token is not None:
            return when == message.locked_until
        if message.state == State.SCHEDULED:
            return when == message.due_at
        return message.state == State.ACTIVE and when == message.expires_at and self.dead_letters is not None
