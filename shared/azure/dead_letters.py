"""The queue of dead letters, looked at by peeking and worked off under locks."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec
from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from shared.azure.servicebus import DEAD_QUEUE, ServiceBusConnection
from shared.jobs.model import JobMessage
from shared.service.ports import DeadLetter, TransientError

logger = logging.getLogger(__name__)

#: A call works for at most so long, in seconds: well within the locks' minute and a caller's patience.
TIME_BUDGET = 40.0
#: How long an empty queue is waited for, in seconds.
_EMPTY_AFTER = 1.0
_AT_ONCE = 50
_PEEK = 250


class ServiceBusDeadLetters:
    """`DeadLetters` over azure-servicebus.

    Letters that do not match are held until the end of the call, so that none is seen twice, and then given back; each
    giving back counts as a delivery, which is why the queue allows 2,000 of them.
    """

    def __init__(self, bus: ServiceBusConnection) -> None:
        self._bus = bus

    async def browse(self, limit: int) -> list[DeadLetter]:
        """See DeadLetters."""
        letters: list[DeadLetter] = []
        try:
            async with self._bus.client().get_queue_receiver(DEAD_QUEUE) as receiver:
                start = 1
                while len(letters) < limit:
                    found = await receiver.peek_messages(min(_PEEK, limit - len(letters)), sequence_number=start)
                    if not found:
                        break
                    letters += [_letter(message) for message in found]
                    start = (found[-1].sequence_number or start) + 1
        except (AzureError, ServiceBusError) as exc:
            raise TransientError(f"Service Bus does not answer: {exc}") from exc
        return letters

    async def take(
        self,
        matches: Callable[[DeadLetter], bool],
        handle: Callable[[DeadLetter], Awaitable[bool]],
        limit: int,
    ) -> bool:
        """See DeadLetters."""
        deadline = time.monotonic() + TIME_BUDGET
        left = limit
        kept: list[ServiceBusReceivedMessage] = []
        try:
            async with self._bus.client().get_queue_receiver(DEAD_QUEUE) as receiver:
                try:
                    while time.monotonic() < deadline:
                        messages = await receiver.receive_messages(_AT_ONCE, max_wait_time=_EMPTY_AFTER)
                        if not messages:
                            return False
                        for number, message in enumerate(messages):
                            letter = _letter(message)
                            if not matches(letter):
                                kept.append(message)
                            elif left == 0:
                                kept += messages[number:]
                                return True
                            else:
                                left -= 1
                                if await handle(letter):
                                    await receiver.complete_message(message)
                                else:
                                    kept.append(message)
                    return True
                finally:
                    await _give_back(receiver, kept)
        except (AzureError, ServiceBusError) as exc:
            raise TransientError(f"Service Bus does not answer: {exc}") from exc


async def _give_back(receiver: ServiceBusReceiver, messages: list[ServiceBusReceivedMessage]) -> None:
    answers = await asyncio.gather(*map(receiver.abandon_message, messages), return_exceptions=True)
    if lost := sum(isinstance(answer, Exception) for answer in answers):
        logger.info("%d dead letters come back when their locks end, not at once", lost)


def _letter(message: ServiceBusReceivedMessage) -> DeadLetter:
    properties = {_text(name): value for name, value in (message.application_properties or {}).items()}
    try:
        job_message = msgspec.json.decode(b"".join(message.body), type=JobMessage)
    except (msgspec.DecodeError, UnicodeDecodeError):
        job_message = None
    return DeadLetter(
        message_id=message.message_id or "",
        reason=_text(properties.get("DeadLetterReason", "unknown")),
        description=_text(properties.get("DeadLetterErrorDescription", "")),
        dead_since=message.enqueued_time_utc or datetime.now(UTC),
        message=job_message,
    )


def _text(value: object) -> str:
    """The SDK hands names and values as bytes or text, as they came over the wire."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
