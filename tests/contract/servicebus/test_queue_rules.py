"""The queues' rules without a network: an injected clock, receivers that only note what they get."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from local.servicebus import codec
from local.servicebus import message as wire
from local.servicebus.broker import Broker
from local.servicebus.config import QueueProperties, format_duration, parse_duration
from local.servicebus.errors import LockLostError, MessageNotFoundError
from local.servicebus.message import Delivery
from local.servicebus.queue import Queue
from local.servicebus.states import Outcome
from local.servicebus.store import Message, Store


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class FakeReceiver:
    """Takes `credit` messages and keeps their deliveries."""

    def __init__(self, credit: int = 0, *, receives_and_deletes: bool = False) -> None:
        self.receives_and_deletes = receives_and_deletes
        self.is_waiting = False
        self.credit = credit
        self.got: list[Delivery] = []

    def can_take(self) -> bool:
        return self.credit > 0

    def reserve(self) -> None:
        self.credit -= 1

    def deliver(self, queue: Queue, message: Message, delivery: Delivery) -> None:  # noqa: ARG002 - see Receiver
        self.got.append(delivery)


class World:
    """A broker on a file with a clock that stands still until it is told."""

    def __init__(self, path: Path | None = None, **queues: QueueProperties) -> None:
        self.clock = Clock()
        self.path = path
        self.store = Store(path)
        self.broker = Broker(self.store, self.clock)
        self.broker.define(queues)

    def queue(self, name: str = "q") -> Queue:
        return self.broker.get(name)

    def put(self, name: str = "q", **options: Any) -> int:
        number = self.queue(name).put(encoded(**options), self.clock())
        self.broker.turn()
        return number

    def receive(self, name: str = "q", count: int = 1, **options: Any) -> list[Delivery]:
        receiver = FakeReceiver(count, **options)
        self.queue(name).wait(receiver)
        self.broker.turn()
        receiver.credit = 0
        return receiver.got

    def settle(self, delivery: Delivery, outcome: Outcome, name: str = "q") -> None:
        assert delivery.lock_token is not None
        self.queue(name).settle(delivery.lock_token, outcome, self.clock())
        self.broker.turn()

    def pass_time(self, seconds: float) -> None:
        self.clock.now += seconds
        self.broker.turn()

    def crash(self) -> World:
        """The world that a new process finds, this one having vanished without a word."""
        other = World(self.path)
        other.clock.now = self.clock.now
        return other


def encoded(body: bytes = b"body", message_id: str | None = None, ttl: float | None = None, due: float = 0) -> bytes:
    header = codec.list_of([codec.NULL, codec.NULL, codec.NULL if ttl is None else codec.uint(int(ttl * 1000))])
    annotations = [codec.symbol("x-opt-scheduled-enqueue-time"), codec.timestamp(due)] if due else []
    return b"".join(
        (
            codec.described(wire.HEADER, header),
            codec.described(wire.MESSAGE_ANNOTATIONS, codec.map_of(annotations)),
            codec.described(wire.PROPERTIES, codec.list_of([codec.string(message_id)])),
            codec.described(wire.DATA, codec.binary(body)),
        )
    )


@pytest.fixture
def world() -> World:
    return World(q=QueueProperties(lock_duration=10, max_delivery_count=2, dead_lettering_on_message_expiration=True))


def letters(world: World, name: str = "q") -> Queue:
    queue = world.queue(name).dead_letters
    assert queue is not None
    return queue


def test_receivers_are_served_in_turn(world: World) -> None:
    receivers = [FakeReceiver(10) for _ in range(4)]
    for receiver in receivers:
        world.queue().wait(receiver)
    for _ in range(20):
        world.queue().put(encoded(), world.clock())
    world.broker.turn()
    assert [[delivery.sequence_number for delivery in receiver.got] for receiver in receivers] == [
        [1, 5, 9, 13, 17],
        [2, 6, 10, 14, 18],
        [3, 7, 11, 15, 19],
        [4, 8, 12, 16, 20],
    ]


def test_a_receiver_that_left_gets_nothing(world: World) -> None:
    gone, there = FakeReceiver(5), FakeReceiver(5)
    for receiver in (gone, there):
        world.queue().wait(receiver)
    world.queue().leave(gone)
    world.put()
    assert (len(gone.got), len(there.got)) == (0, 1)


def test_what_was_locked_in_a_deleted_queue_cannot_be_settled(world: World) -> None:
    world.put()
    (delivery,) = world.receive()
    queue = world.queue()
    world.broker.delete_queue("q")
    assert delivery.lock_token is not None
    for outcome in Outcome:
        with pytest.raises(LockLostError):
            queue.settle(delivery.lock_token, outcome, world.clock())
    assert world.store.queues() == []


def test_a_lock_ends_to_the_second_and_counts(world: World) -> None:
    world.put()
    (first,) = world.receive()
    assert (first.delivery_count, first.locked_until) == (0, world.clock() + 10)
    world.pass_time(9.999)
    assert world.receive() == []
    world.pass_time(0.001)
    (second,) = world.receive()
    assert second.delivery_count == 1
    with pytest.raises(LockLostError):
        world.settle(first, Outcome.COMPLETE)
    world.pass_time(10)
    assert (world.queue().active_count, letters(world).active_count) == (0, 1)


def test_a_lock_that_has_ended_is_lost_even_before_the_alarm_rang(world: World) -> None:
    world.put()
    (delivery,) = world.receive()
    world.clock.now += 10
    with pytest.raises(LockLostError):
        world.settle(delivery, Outcome.COMPLETE)


def test_released_and_renewed_deliveries_do_not_count(world: World) -> None:
    world.put()
    for _ in range(5):
        (delivery,) = world.receive()
        assert delivery.delivery_count == 0
        assert delivery.lock_token is not None
        world.pass_time(8)
        world.queue().renew(delivery.lock_token, world.clock())
        world.pass_time(8)
        world.settle(delivery, Outcome.RELEASE)


def test_order_is_kept_when_a_message_comes_back(world: World) -> None:
    for _ in range(3):
        world.put()
    first, second, _ = world.receive(count=3)
    world.settle(second, Outcome.ABANDON)
    world.settle(first, Outcome.ABANDON)
    assert [delivery.sequence_number for delivery in world.receive(count=3)] == [1, 2]


def test_time_to_live_is_kept_to_while_nobody_receives_and_stands_still_under_a_lock(world: World) -> None:
    world.put(ttl=5)
    world.put(ttl=5)
    (locked,) = world.receive()
    world.pass_time(4.999)
    assert world.queue().active_count == 2
    world.pass_time(0.001)
    assert (world.queue().active_count, letters(world).active_count) == (1, 1)
    world.settle(locked, Outcome.RELEASE)
    world.pass_time(0)
    assert (world.queue().active_count, letters(world).active_count) == (0, 2)
    world.pass_time(1000)
    assert letters(world).active_count == 2  # a dead letter lives on


def test_deferred_messages_outlive_their_time(world: World) -> None:
    number = world.put(ttl=5)
    (delivery,) = world.receive()
    world.settle(delivery, Outcome.DEFER)
    world.pass_time(100)
    ((_, again),) = world.queue().receive_deferred([number], world.clock(), delete=False)
    assert again.delivery_count == 1


def test_a_scheduled_message_lives_from_the_moment_that_it_is_due(world: World) -> None:
    world.put(ttl=5, due=world.clock() + 60)
    assert world.receive() == []
    assert world.queue().scheduled_count == 1
    assert world.broker.next_alarm == world.clock() + 60
    world.pass_time(60)
    (delivery,) = world.receive()
    assert (delivery.sequence_number, delivery.enqueued_at) == (2, world.clock())
    with pytest.raises(MessageNotFoundError):
        world.queue().cancel([1])


def test_nothing_is_due_when_nothing_waits(world: World) -> None:
    for _ in range(500):
        world.put()
    for delivery in world.receive(count=500):
        world.settle(delivery, Outcome.COMPLETE)
    world.pass_time(10)  # the alarm of a lock that was settled may ring once
    assert world.broker.next_alarm == math.inf


def test_an_expired_duplicate_history_is_pruned() -> None:
    properties = QueueProperties(requires_duplicate_detection=True, duplicate_detection_history_time_window=20)
    world = World(q=properties)
    for number in range(10):
        world.put(message_id=str(number))
    world.put(message_id="0")
    assert world.queue().active_count == 10
    world.pass_time(40)
    world.put(message_id="0")
    assert world.queue().active_count == 11
    assert world.store._db.execute("SELECT count(*) FROM history").fetchone() == (1,)


def test_forwarding_in_a_circle_ends(world: World) -> None:
    world = World(a=QueueProperties(), b=QueueProperties(forward_to="a"))
    world.queue("a").properties = QueueProperties(forward_to="b")  # what the definitions' check would refuse
    world.put("a")
    assert world.queue("a").active_count + world.queue("b").active_count == 1


def test_large_backlogs_keep_their_bodies_on_disk(tmp_path: Path) -> None:
    world = World(tmp_path / "data.db", q=QueueProperties())
    for number in range(60):
        world.put(body=bytes([number]) * 100_000)
    messages = world.queue().peek(1, 60)
    assert sum(message.body is not None for message in messages) < 50
    for number, message in enumerate(messages):
        assert world.store.body(message).endswith(bytes([number]) * 100)
    (taken,) = world.receive(receives_and_deletes=True)
    assert taken.sequence_number == 1


def test_a_last_delivery_that_a_crash_ended_was_the_last(tmp_path: Path) -> None:
    world = World(tmp_path / "data.db", q=QueueProperties(max_delivery_count=1))
    world.put()
    world.receive()
    after = world.crash()
    assert (after.queue().active_count, letters(after).active_count) == (0, 1)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT1S", 1),
        ("PT1M30S", 90),
        ("P14D", 14 * 86_400),
        ("P1DT2H3M4.5S", 93_784.5),
        ("P10675199DT2H48M5.4775807S", math.inf),
    ],
)
def test_durations_are_read_and_written(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds
    assert parse_duration(format_duration(seconds)) == seconds


class CrashingBroker(RuleBasedStateMachine):
    """Whatever is done, in whatever order, and however often the process dies: what was told stays true."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        properties = QueueProperties(lock_duration=10, max_delivery_count=1000)
        path = self.folder / f"{id(self)}.db"
        path.unlink(missing_ok=True)
        self.world = World(path, q=properties)
        self.known: set[int] = set()
        self.done: set[int] = set()
        self.locked: dict[int, Delivery] = {}

    @rule(count=st.integers(1, 3))
    def put(self, count: int) -> None:
        self.known |= {self.world.put() for _ in range(count)}

    @rule(count=st.integers(1, 3))
    def receive(self, count: int) -> None:
        for delivery in self.world.receive(count=count):
            number = delivery.sequence_number
            assert number in self.known - self.done
            assert number not in self.locked
            self.locked[number] = delivery

    @precondition(lambda self: self.locked)
    @rule(
        data=st.data(),
        outcome=st.sampled_from([Outcome.COMPLETE, Outcome.ABANDON, Outcome.RELEASE, Outcome.DEAD_LETTER]),
    )
    def settle(self, data: st.DataObject, outcome: Outcome) -> None:
        number = data.draw(st.sampled_from(sorted(self.locked)))
        self.world.settle(self.locked.pop(number), outcome)
        if outcome in {Outcome.COMPLETE, Outcome.DEAD_LETTER}:
            self.done.add(number)

    @rule(seconds=st.sampled_from([1.0, 10.0]))
    def pass_time(self, seconds: float) -> None:
        self.world.pass_time(seconds)
        now = self.world.clock()
        self.locked = {number: held for number, held in self.locked.items() if held.locked_until > now}

    @rule()
    def crash(self) -> None:
        self.world = self.world.crash()
        self.locked.clear()

    @invariant()
    def what_was_told_is_true(self) -> None:
        numbers = {message.sequence_number for message in self.world.queue().peek(0, 10_000)}
        assert numbers == self.known - self.done


@pytest.fixture(autouse=True, scope="module")
def _files(tmp_path_factory: pytest.TempPathFactory) -> None:
    CrashingBroker.folder = tmp_path_factory.mktemp("crashes")


TestCrashingBroker = CrashingBroker.TestCase
TestCrashingBroker.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
