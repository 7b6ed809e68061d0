"""The receiving end of a `JobQueue`, of the fake one or, by the SDK's receiver, of the real one."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import msgspec
from azure.servicebus import ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient

from shared.azure.queue_admin import ServiceBusQueueAdmin
from shared.azure.servicebus import DEAD_QUEUE, QUEUES, ServiceBusJobQueue
from shared.config import Connection
from shared.jobs.model import JobMessage, Priority
from shared.service.ports import JobQueue, QueueAdmin
from tests.fakes import Dead, FakeQueue, FakeQueueAdmin

#: How long a receive waits for a message that is expected, in seconds.
PATIENCE = 10


@dataclass(frozen=True)
class Received:
    """A message as its receiver sees it."""

    message: JobMessage
    message_id: str


class Broker(Protocol):
    """A queue, and what arrives from it."""

    @property
    def queue(self) -> JobQueue:
        """The port under test."""

    @property
    def admin(self) -> QueueAdmin:
        """The port that goes with it."""

    async def receive(self, priority: Priority, count: int) -> list[Received]:
        """`count` messages, waited for, and whatever else is there with them; all are removed."""

    async def receive_dead(self, count: int) -> list[Dead]:
        """As `receive`, from the queue of dead letters."""


class FakeBroker:
    """Reads what the fake holds."""

    def __init__(self, queue: FakeQueue) -> None:
        self._fake = queue
        self.admin: QueueAdmin = FakeQueueAdmin(queue)

    @property
    def queue(self) -> FakeQueue:
        return self._fake

    async def receive(self, priority: Priority, count: int) -> list[Received]:
        received: list[Received] = []
        async with asyncio.timeout(PATIENCE):
            while len(received) < count:
                free = [each for each in self._fake.waiting if each.priority not in self._fake.held]
                due = [each for each in free if each.due <= self._fake.clock()]
                for each in due:
                    if each.priority is priority:
                        self._fake.complete(each)
                        received.append(Received(each.message, each.message_id))
                await asyncio.sleep(0.01)
        return received

    async def receive_dead(self, count: int) -> list[Dead]:
        dead, self._fake.dead = self._fake.dead, []
        assert len(dead) >= count
        return dead


class RealBroker:
    """Receives over AMQP with the SDK."""

    def __init__(self, queue: ServiceBusJobQueue, admin: ServiceBusQueueAdmin, connection: Connection) -> None:
        self.admin: QueueAdmin = admin
        self._queue = queue
        self._connection = connection

    @property
    def queue(self) -> ServiceBusJobQueue:
        return self._queue

    async def receive(self, priority: Priority, count: int) -> list[Received]:
        messages = await self._receive(QUEUES[priority], count)
        return [
            Received(msgspec.json.decode(each.body, type=JobMessage), each.message_id)
            for each in (_Raw(message) for message in messages)
        ]

    async def receive_dead(self, count: int) -> list[Dead]:
        dead = []
        for message in await self._receive(DEAD_QUEUE, count):
            raw = _Raw(message)
            dead.append(Dead(raw.body, raw.message_id, raw.property("Reason"), raw.property("ErrorDescription")))
        return dead

    async def _receive(self, queue: str, count: int) -> list[object]:
        # The SDK polls its socket with this timeout, and closing waits for two such polls.
        client = ServiceBusClient.from_connection_string(
            self._connection.connection_string, socket_timeout=0.05, keep_alive=0
        )
        received: list[object] = []
        async with (
            client,
            client.get_queue_receiver(queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE) as receiver,
        ):
            while len(received) < count:
                more = await receiver.receive_messages(500, max_wait_time=PATIENCE)
                assert more, f"{len(received)} of {count} messages came within {PATIENCE} s"
                received += more
            received += await receiver.receive_messages(500, max_wait_time=0.2)
        return received


class _Raw:
    """A message of the SDK in plain terms."""

    def __init__(self, message: object) -> None:
        self._message = message
        self.body = b"".join(message.body)  # type: ignore[attr-defined]
        self.message_id = str(message.message_id)  # type: ignore[attr-defined]

    def property(self, name: str) -> str:
        properties = self._message.application_properties or {}  # type: ignore[attr-defined]
        return str(properties[f"DeadLetter{name}".encode()].decode())
