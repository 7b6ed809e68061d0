"""The broker: Service Bus queues, one a priority, and the queue of dead letters."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from azure.core.exceptions import AzureError
from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusMessageBatch,
    ServiceBusMessageState,
    ServiceBusReceivedMessage,
)
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)

from shared.azure.connecting import credential
from shared.config import Connection
from shared.jobs.model import JobMessage, Priority
from shared.service.ports import Outgoing, TransientError
from shared.service.tracing import dependency

logger = logging.getLogger(__name__)

QUEUES = {priority: f"jobs-{priority}" for priority in Priority}
POISON_QUEUE = "jobs-poison"
DEAD_QUEUE = "jobs-dead"

#: How long a call may take, in seconds. On a connection that died without a word the SDK itself would wait for ever.
PATIENCE_SECONDS = 10

#: So long the SDK's keep-alive, every 30 s, holds a link's socket to see whether something comes, in seconds; what is
#: to be sent meanwhile waits. The SDK's own 0.2 s made the slowest submissions.
SOCKET_TIMEOUT = 0.05

#: Longest message id, in characters.
MAX_MESSAGE_ID = 128
#: Longest reason and description of a dead letter, in characters, as the broker's own.
MAX_REASON = 4096

#: With these the broker has certainly not taken the message.
_REFUSED = (
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusQuotaExceededError,
    ServiceBusServerBusyError,
)

#: A queue that is held tells nothing, and so may hold anything.
SINCE_EVER = datetime.min.replace(tzinfo=UTC)

#: How far into a queue the oldest active message is looked for: it is the first, or behind scheduled ones.
_PEEKS = (1, 100)


class ServiceBusConnection:
    """The client of a process, shared by all that speak to Service Bus; made at the first call, in its loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: ServiceBusClient | None = None
        self._peekers: dict[str, ServiceBusReceiver] = {}
        self._peeks: dict[str, asyncio.Lock] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def client(self) -> ServiceBusClient:
        """The client. It tries few times and quickly: a caller waits."""
        if self._client is None:
            options: dict[str, Any] = {"retry_total": 2, "retry_backoff_factor": 0.2, "retry_backoff_max": 2}
            connection = self._connection
            if connection.endpoint:
                self._client = ServiceBusClient(connection.endpoint, credential(connection.client_id), **options)
            else:
                self._client = ServiceBusClient.from_connection_string(connection.connection_string, **options)
        return self._client

    async def peek(self, queue: str, count: int, start: int = 1) -> list[ServiceBusReceivedMessage]:
        """Up to `count` messages of a queue from a sequence number on, which stay where they are.

        The link is kept for the next time, for the SDK needs a second to open and close one; it has no credit, so that
        nothing is delivered to it. Raises MessagingEntityDisabledError for a queue that is held, and TransientError.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), self._peeks.setdefault(queue, asyncio.Lock()):
                peeker = self._peekers.pop(queue, None) or self.client().get_queue_receiver(
                    queue, prefetch_count=0, socket_timeout=SOCKET_TIMEOUT
                )
                try:
                    found = await peeker.peek_messages(count, sequence_number=start)
                except (asyncio.CancelledError, AzureError, ServiceBusError):
                    self.give_up(peeker)
                    raise
                self._peekers[queue] = peeker
                return found
        except MessagingEntityDisabledError:
            raise
        except (AzureError, ServiceBusError, TimeoutError) as exc:
            raise TransientError(f"Service Bus does not answer: {exc!r}") from exc

    def give_up(self, link: ServiceBusSender | ServiceBusReceiver) -> None:
        """Close a link in the background. It may have been cut off in the middle, and its connection be dead."""
        closing = asyncio.create_task(_close_quietly(link))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all that was opened through the client."""
        # Side by side, for the SDK takes about a second for each.
        await asyncio.gather(*map(_close_quietly, self._peekers.values()), *self._closing)
        if self._client is not None:
            await self._client.close()


class ServiceBusJobQueue:
    """`JobQueue` over azure-servicebus."""

    def __init__(self, bus: ServiceBusConnection) -> None:
        self._bus = bus
        self._senders: dict[str, ServiceBusSender] = {}
        # The SDK's sender is not safe for tasks that send at once.
        self._locks: dict[str, asyncio.Lock] = {}

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        """See JobQueue."""
        by_queue: dict[str, list[ServiceBusMessage]] = {}
        for each in outgoing:
            by_queue.setdefault(QUEUES[each.message.job.priority], []).append(_message(each))
        errors: list[TransientError] = []

        async def send_to(queue: str, messages: list[ServiceBusMessage]) -> None:
            try:
                await self._send(queue, messages)
            except TransientError as exc:
                errors.append(exc)

        await asyncio.gather(*(send_to(queue, messages) for queue, messages in by_queue.items()))
        if errors:
            # What one queue has refused for certain, another may have taken.
            unknown = len(errors) < len(by_queue) or any(error.unknown_outcome for error in errors)
            raise TransientError(str(errors[0]), unknown_outcome=unknown) from errors[0]

    async def send_dead(self, message: JobMessage, reason: str, description: str) -> None:
        """See JobQueue. The id is that of the run: a second one within the duplicate detection window is dropped."""
        message_id = f"{message.job.job_id}:{message.job.run}:dead"
        await self._bury(DEAD_QUEUE, msgspec.json.encode(message), message_id, reason, description)

    async def send_poison(self, message: JobMessage, reason: str, description: str) -> None:
        """See JobQueue."""
        message_id = f"{message.job.job_id}:{message.job.run}:poison"
        await self._bury(POISON_QUEUE, msgspec.json.encode(message), message_id, reason, description)

    async def send_dead_raw(self, body: bytes, message_id: str, reason: str, description: str) -> None:
        """See JobQueue."""
        await self._bury(DEAD_QUEUE, body, f"{message_id}:dead"[-MAX_MESSAGE_ID:], reason, description)

    async def put_back(
        self,
        queue: Priority | None,
        body: bytes,
        message_id: str,
        due: datetime,
        reason: str = "",
        description: str = "",
    ) -> None:
        """See JobQueue."""
        again = f"{message_id}:{secrets.token_hex(6)}"[-MAX_MESSAGE_ID:]
        await self._bury(QUEUES[queue] if queue else POISON_QUEUE, body, again, reason, description, due)

    async def oldest_waiting(self, held: Collection[Priority] = ()) -> Mapping[Priority, datetime | None]:
        """See JobQueue. Peeks, which costs a credit a message and no lock."""
        asked = [priority for priority in QUEUES if priority not in held]
        oldest = await asyncio.gather(*(self._oldest(QUEUES[priority]) for priority in asked))
        return {**dict.fromkeys(QUEUES, SINCE_EVER), **dict(zip(asked, oldest, strict=True))}

    async def close(self) -> None:
        """Close the connections."""
        # Side by side, for the SDK takes about a second for each.
        await asyncio.gather(*(sender.close() for sender in self._senders.values()))
        await self._bus.close()

    async def _bury(
        self,
        queue: str,
        body: bytes,
        message_id: str,
        reason: str,
        description: str,
        due: datetime | None = None,
    ) -> None:
        message = ServiceBusMessage(
            body,
            message_id=message_id,
            content_type="application/json",
            scheduled_enqueue_time_utc=due,
            application_properties={
                "DeadLetterReason": reason[:MAX_REASON],
                "DeadLetterErrorDescription": description[:MAX_REASON],
            },
        )
        await self._send(queue, [message])

    async def _send(self, queue: str, messages: list[ServiceBusMessage]) -> None:
        with dependency("Azure Service Bus", queue, f"send {queue}"):
            await self._send_all(queue, messages)

    async def _send_all(self, queue: str, messages: list[ServiceBusMessage]) -> None:
        lock = self._locks.setdefault(queue, asyncio.Lock())
        begun = taken = False
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), lock:
                begun = True
                sender = self._sender(queue)
                try:
                    async for part in _parts(sender, messages):
                        await sender.send_messages(part)
                        taken = True
                except asyncio.CancelledError:
                    self._bus.give_up(self._senders.pop(queue))
                    raise
        except TimeoutError as exc:
            text = f"Service Bus does not answer within {PATIENCE_SECONDS} s."
            raise TransientError(text, unknown_outcome=begun) from exc
        except _REFUSED as exc:
            raise TransientError(f"Service Bus refused the message: {exc}", unknown_outcome=taken) from exc
        except (AzureError, ServiceBusError) as exc:
            unknown = taken or not _never_sent(exc)
            raise TransientError(f"Service Bus does not answer: {exc}", unknown_outcome=unknown) from exc

    async def _oldest(self, queue: str) -> datetime | None:
        try:
            for count in _PEEKS:
                for message in await self._bus.peek(queue, count):
                    if message.state is ServiceBusMessageState.ACTIVE:
                        return message.enqueued_time_utc
        except MessagingEntityDisabledError:
            return SINCE_EVER
        return None

    def _sender(self, queue: str) -> ServiceBusSender:
        if queue not in self._senders:
            self._senders[queue] = self._bus.client().get_queue_sender(queue, socket_timeout=SOCKET_TIMEOUT)
        return self._senders[queue]


async def _close_quietly(link: ServiceBusSender | ServiceBusReceiver) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await link.close()
    except (AzureError, ServiceBusError, OSError) as exc:  # a TimeoutError is an OSError
        logger.debug("a link that was given up did not close: %r", exc)


def _message(outgoing: Outgoing) -> ServiceBusMessage:
    job = outgoing.message.job
    return ServiceBusMessage(
        msgspec.json.encode(outgoing.message),
        message_id=outgoing.message_id,
        content_type="application/json",
        subject=job.job_type,
        correlation_id=job.trace_id,
        scheduled_enqueue_time_utc=outgoing.due,
        application_properties={
            "job_id": job.job_id,
            "attempt": outgoing.message.attempt,
            # By this name the real host puts its own log lines about the message into the job's trace.
            "Diagnostic-Id": job.traceparent,
        },
    )


async def _parts(
    sender: ServiceBusSender, messages: list[ServiceBusMessage]
) -> AsyncIterator[ServiceBusMessage | ServiceBusMessageBatch]:
    """As many messages a batch as fit; the SDK says that one does not by a MessageSizeExceededError."""
    if len(messages) == 1:
        yield messages[0]
        return
    batch = await sender.create_message_batch()
    for message in messages:
        try:
            batch.add_message(message)
        except MessageSizeExceededError:
            if not len(batch):
                raise
            yield batch
            batch = await sender.create_message_batch()
            batch.add_message(message)
    yield batch


def _never_sent(exc: BaseException) -> bool:
    """Whether the connection was refused, so that nothing can have arrived."""
    seen: BaseException | None = exc
    while seen is not None:
        if isinstance(seen, ConnectionRefusedError):
            return True
        seen = seen.__cause__ or seen.__context__
    return False
