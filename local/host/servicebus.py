"""Service Bus queue triggers over the azure-servicebus SDK.

One task owns each receiver and does everything that touches its connection in turn: receive, settle, renew. The SDK's
AMQP client holds one lock while it waits for a frame, and whoever reads a frame reads it for all; two users of one
receiver would stall each other for the length of a socket timeout (0.2 s). So the task receives one message at a time,
which costs one round trip, and interrupts an idle receive when there is something to settle.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
)

from local.host.config import ServiceBusOptions
from local.host.context import new_trace_context
from local.host.indexing import Function
from local.host.invoke import Invocation, Invoker, Outcome
from local.host.servicebus_messages import application_properties, is_batch, trigger_argument, trigger_details
from local.host.settings import Connection, SettingError, expand, resolve_connection

_RECEIVE_SECONDS = 3600.0  # one receive call waits this long; shorter waits would only cost CPU
_SETTLE_GRACE = 0.01  # a message on its way is received before what has ended is settled
_HEARTBEAT = 30.0  # seconds without traffic after which the connection is kept alive, while every slot is taken
_DRAIN_HEARTBEAT = 0.5  # while draining: what still arrived on the open credit goes back within this time
_FIRST_BACKOFF, _LONGEST_BACKOFF = 0.2, 5.0  # seconds between two attempts to connect
_DISABLED_SECONDS = 1.0  # between two attempts at a queue that may not be received from for now
_STABLE_SECONDS = 10.0  # a connection that held so long starts the backoff anew
_SETTLE_ATTEMPTS = 3
_RECEIVERS = 4  # of one function: each idles for almost nothing
_CLOSE_SECONDS = 5.0
logger = logging.getLogger("Host.Triggers.ServiceBus")


@dataclass(slots=True, eq=False)
class _Delivery:
    """Messages handed to one invocation, until they are settled."""

    messages: list[ServiceBusReceivedMessage]
    next_renewal: float = math.inf  # time.monotonic()
    renew_until: float = 0.0
    task: asyncio.Task[None] | None = None
    outcome: Outcome = field(default_factory=Outcome)
    failed_settlements: int = 0


def queue_listeners(
    function: Function, invoker: Invoker, options: ServiceBusOptions, environment: Mapping[str, str]
) -> list[ServiceBusListener]:
    """The listeners of one function, which share its maxConcurrentCalls. Raises SettingError.

    Taking and settling a message cost a round trip each and one receiver does them in turn, so one alone would keep
    quick functions waiting.
    """
    count = 1 if is_batch(function) else min(_RECEIVERS, options.max_concurrent_calls)
    shares = [len(range(index, options.max_concurrent_calls, count)) for index in range(count)]
    return [
        ServiceBusListener(
            function, invoker, replace(options, max_concurrent_calls=share), environment, reports=index == 0
        )
        for index, share in enumerate(shares)
    ]


class ServiceBusListener:
    """Feeds one function from its queue: complete on return, abandon on failure, locks renewed in between."""

    def __init__(
        self,
        function: Function,
        invoker: Invoker,
        options: ServiceBusOptions,
        environment: Mapping[str, str],
        *,
        reports: bool = True,
    ) -> None:
        trigger = function.trigger
        if "topicName" in trigger or trigger.get("isSessionsEnabled"):
            raise SettingError("topics and sessions are not supported by this local host; use a plain queue.")
        self._function = function
        self._invoker = invoker
        self._options = options
        self._queue = expand(str(trigger["queueName"]), environment)
        self._connection = resolve_connection(str(trigger.get("connection") or ""), environment)
        self._batch = is_batch(function)
        self._slots = 1 if self._batch else options.max_concurrent_calls
        self._running: set[_Delivery] = set()
        self._finished: deque[_Delivery] = deque()
        self._stopping = False
        self._taking = asyncio.Lock()  # held while a message is taken from the queue
        self._failing = False
        # Where several listeners share a function, what happens to their connections is said once.
        self._level_of_failure = logging.ERROR if reports else logging.DEBUG
        self._level_of_recovery = logging.INFO if reports else logging.DEBUG
        self._wake: asyncio.Future[None] | None = None
        self._last_traffic = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._listen(), name=f"queue {self._queue}")

    async def stop(self) -> None:
        """Take no more messages; on return none is on its way to the function."""
        self._stopping = True
        self._notify()
        async with self._taking:
            pass

    async def close(self) -> None:
        """Cancel what still runs, give its messages back, and disconnect."""
        for delivery in self._running:
            if delivery.task is not None:
                delivery.task.cancel()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_CLOSE_SECONDS)
            self._task.cancel()
            await asyncio.wait({self._task})

    def _notify(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    async def _wait(self, *others: asyncio.Task[Any], seconds: float) -> None:
        """Return when one of `others` is done, when there is something else to do, or after `seconds`."""
        self._wake = asyncio.get_running_loop().create_future()
        timeout = None if math.isinf(seconds) else seconds
        await asyncio.wait({self._wake, *others}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)

    @property
    def _drained(self) -> bool:
        return self._stopping and not self._running and not self._finished

    async def _listen(self) -> None:
        """Connect and pump, again after every failure, until drained."""
        delay = _FIRST_BACKOFF
        while not self._drained:
            started = time.monotonic()
            try:
                await self._connect_and_pump()
            except Exception as error:  # noqa: BLE001 - the SDK raises its own, pyamqp's and the socket's errors here
                if not self._failing:
                    self._log_failure(error)
                self._failing = True
                if self._stopping and not self._running:
                    logger.warning("%d deliveries from '%s' stay unsettled", len(self._finished), self._queue)
                    return
                if isinstance(error, MessagingEntityDisabledError):
                    delay = _DISABLED_SECONDS
                elif time.monotonic() - started > _STABLE_SECONDS:
                    delay = _FIRST_BACKOFF
                await self._wait(seconds=delay)
                delay = min(delay * 2, _LONGEST_BACKOFF)

    async def _connect_and_pump(self) -> None:
        client = _client(self._connection)
        receiver = client.get_queue_receiver(self._queue, prefetch_count=self._options.prefetch_count)
        try:
            await receiver.__aenter__()
            _end_keep_alive(receiver)
            if self._failing:
                text = "Listening to queue '%s' again for '%s'"
                logger.log(self._level_of_recovery, text, self._queue, self._function.name)
            self._failing = False
            await self._pump(receiver)
        finally:
            await _close(receiver, client)

    def _log_failure(self, error: Exception) -> None:
        if isinstance(error, MessagingEntityDisabledError):
            text = "Queue '%s' is disabled for receiving; '%s' goes on once it is not"
            logger.log(self._level_of_recovery, text, self._queue, self._function.name)
            return
        if isinstance(error, MessagingEntityNotFoundError):
            text = f"there is no queue '{self._queue}'; create it, or correct queueName."
        else:
            text = " ".join(str(error).split()) or type(error).__name__
        message = "The listener for function '%s' has no connection and keeps trying: %s"
        logger.log(self._level_of_failure, message, self._function.name, text)

    async def _pump(self, receiver: ServiceBusReceiver) -> None:
        """Do the next thing that is due, until drained."""
        self._last_traffic = time.monotonic()
        while not self._drained:
            await self._settle_finished(receiver)
            due = await self._renew_due(receiver)
            if self._finished:
                continue
            if not self._stopping and len(self._running) < self._slots:
                async with self._taking:
                    messages = await self._receive(receiver, due)
                    if messages:
                        self._dispatch(messages)
                self._last_traffic = time.monotonic()
            elif not self._drained:
                await self._wait_for_slot(receiver, due)

    async def _receive(self, receiver: ServiceBusReceiver, due: float) -> list[ServiceBusReceivedMessage]:
        """The next message or batch; nothing when something else has to be done first."""
        count = self._options.max_message_batch_size if self._batch else 1
        receiving = asyncio.create_task(
            receiver.receive_messages(max_message_count=count, max_wait_time=_RECEIVE_SECONDS)
        )
        await self._wait(receiving, seconds=max(due - time.monotonic(), 0))
        if not self._stopping:
            await asyncio.wait({receiving}, timeout=_SETTLE_GRACE)
        while not receiving.done():
            receiving.cancel()
            await asyncio.wait({receiving}, timeout=_SETTLE_GRACE)
        if receiving.cancelled():
            return []
        messages = receiving.result()
        if self._batch and messages:
            await self._fill_batch(receiver, messages)
        return messages

    async def _fill_batch(self, receiver: ServiceBusReceiver, messages: list[ServiceBusReceivedMessage]) -> None:
        """Wait up to maxBatchWaitTime for the smallest batch that host.json allows."""
        deadline = time.monotonic() + self._options.max_batch_wait_time.total_seconds()
        while len(messages) < self._options.min_message_batch_size and not self._stopping:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                return
            wanted = self._options.max_message_batch_size - len(messages)
            messages += await receiver.receive_messages(max_message_count=wanted, max_wait_time=min(remaining, 1.0))

    async def _wait_for_slot(self, receiver: ServiceBusReceiver, due: float) -> None:
        """Wait for an invocation to end, and keep the connection alive meanwhile."""
        period = _DRAIN_HEARTBEAT if self._stopping else _HEARTBEAT
        heartbeat = self._last_traffic + period
        await self._wait(seconds=max(min(due, heartbeat) - time.monotonic(), 0))
        if time.monotonic() >= heartbeat:
            await receiver.peek_messages(max_message_count=1)
            self._last_traffic = time.monotonic()

    def _dispatch(self, messages: list[ServiceBusReceivedMessage]) -> None:
        delivery = _Delivery(messages)
        if not self._batch:  # the extension renews no locks of batches
            now = time.monotonic()
            delivery.renew_until = now + self._options.max_auto_lock_renewal.total_seconds()
            self._plan_renewal(delivery)
        self._running.add(delivery)
        delivery.task = asyncio.create_task(self._run(delivery))

    async def _run(self, delivery: _Delivery) -> None:
        function, first = self._function, delivery.messages[0]
        try:
            properties = application_properties(first)
            call = Invocation(
                {function.trigger["name"]: trigger_argument(function, delivery.messages)},
                reason="(null)",
                details=f"{len(delivery.messages)} messages" if self._batch else trigger_details(first),
                trace=new_trace_context(str(properties.get("Diagnostic-Id") or properties.get("traceparent") or "")),
            )
            delivery.outcome = await self._invoker.invoke(function, call)
        except (ValueError, TypeError) as error:
            logger.exception("Message %s of '%s' cannot be passed to a function", first.message_id, self._queue)
            delivery.outcome = Outcome(error=error)
        finally:
            self._running.discard(delivery)
            self._finished.append(delivery)
            self._notify()

    async def _settle_finished(self, receiver: ServiceBusReceiver) -> None:
        while self._finished:
            delivery = self._finished[0]
            while delivery.messages:
                await self._settle(receiver, delivery, delivery.messages[0])
                delivery.messages.pop(0)
            self._finished.popleft()

    async def _settle(
        self, receiver: ServiceBusReceiver, delivery: _Delivery, message: ServiceBusReceivedMessage
    ) -> None:
        try:
            if delivery.outcome.error is not None:
                await receiver.abandon_message(message)
            elif self._options.auto_complete_messages:
                await receiver.complete_message(message)
        except MessageLockLostError:
            logger.warning(
                "The lock of message %s of '%s' was lost before it was settled: it will be delivered again. Finish "
                "within the lock, or raise maxAutoLockRenewalDuration in host.json.",
                *(message.message_id, self._queue),
            )
        except Exception as error:
            delivery.failed_settlements += 1
            if delivery.failed_settlements < _SETTLE_ATTEMPTS:
                raise  # the next connection settles it, through the management link
            logger.error(
                "Message %s of '%s' cannot be settled and stays until its lock ends: %s",
                *(message.message_id, self._queue, error),
            )
        self._last_traffic = time.monotonic()

    def _plan_renewal(self, delivery: _Delivery) -> None:
        """Renew when half of the lock is over, as long as maxAutoLockRenewalDuration allows."""
        now, locked_until = time.monotonic(), delivery.messages[0].locked_until_utc
        remaining = locked_until.timestamp() - time.time() if locked_until else math.inf
        delivery.next_renewal = now + max(remaining / 2, 0.1)
        if delivery.next_renewal > delivery.renew_until:
            delivery.next_renewal = math.inf

    async def _renew_due(self, receiver: ServiceBusReceiver) -> float:
        """Renew every lock whose time has come; when the next renewal is due (time.monotonic())."""
        now = time.monotonic()
        for delivery in [delivery for delivery in self._running if delivery.next_renewal <= now]:
            message = delivery.messages[0]
            try:
                await receiver.renew_message_lock(message)
            except MessageLockLostError:
                delivery.next_renewal = math.inf  # said once, when it is settled
            else:
                self._plan_renewal(delivery)
            self._last_traffic = time.monotonic()
        return min((delivery.next_renewal for delivery in self._running), default=math.inf)


def _client(connection: Connection) -> ServiceBusClient:
    # Without the SDK's own retries a failure shows at once, and this module's backoff is the only one.
    if connection.connection_string is not None:
        return ServiceBusClient.from_connection_string(connection.connection_string, retry_total=0)
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - heavy, and unused with connection strings

    return ServiceBusClient(str(connection.namespace), DefaultAzureCredential(), retry_total=0)


def _end_keep_alive(receiver: ServiceBusReceiver) -> None:
    """End the SDK's keep-alive task of this receiver, which would read frames behind the pump's back every 5 s.

    A message that it reads would wait up to a socket timeout for the pump. There is no public option: without prefetch
    the interval is fixed. The pump keeps the connection alive itself.
    """
    handler = receiver._handler  # noqa: SLF001
    if handler._keep_alive_thread is not None:  # noqa: SLF001
        handler._keep_alive_thread.cancel()  # noqa: SLF001
        handler._keep_alive_thread = None  # noqa: SLF001


async def _close(receiver: ServiceBusReceiver, client: ServiceBusClient) -> None:
    try:
        async with asyncio.timeout(_CLOSE_SECONDS):
            await receiver.close()
            await client.close()
    except Exception as error:  # noqa: BLE001 - the connection may be long dead, which is why it is closed
        logger.debug("Closing the connection failed: %r", error)
