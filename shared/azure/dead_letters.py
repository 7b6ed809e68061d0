"""The queue of dead letters, looked at by peeking and worked off under locks."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusReceiver
from azure.servicebus.exceptions import ServiceBusError

from shared.azure.servicebus import DEAD_QUEUE, SOCKET_TIMEOUT, ServiceBusConnection
from shared.jobs.model import JobMessage
from shared.service.ports import DeadLetter, TransientError

logger = logging.getLogger(__name__)

#: A call works for at most so long, in seconds: well within the locks' minute and a caller's patience.
TIME_BUDGET = 40.0
#: How long an empty queue is waited for, in seconds.
_EMPTY_AFTER = 1.0
_AT_ONCE = 50
_PEEK = 250
#: Letters that are handled at the same time.
_HANDLED_AT_ONCE = 16


class ServiceBusDeadLetters:
    """`DeadLetters` over azure-servicebus.

    A call peeks first, which tells it what to wait for and when it is done. Letters that do not match and lie before
    those that do are held until the end of the call, so that none is seen twice, and then given back; each giving back
    counts as a delivery, which is why the queue allows 2,000 of them.
    """

    def __init__(self, bus: ServiceBusConnection) -> None:
        self._bus = bus

    async def browse(self, limit: int) -> list[DeadLetter]:
        """See DeadLetters."""
        return [_letter(message) async for message in self._peek(limit)]

    async def _peek(self, limit: int = sys.maxsize) -> AsyncIterator[ServiceBusReceivedMessage]:
        """The oldest letters, locked ones included."""
        start = 1
        while limit and (found := await self._bus.peek(DEAD_QUEUE, min(_PEEK, limit), start)):
            for message in found:
                yield message
            start, limit = (found[-1].sequence_number or start) + 1, limit - len(found)

    async def take(
        self,
        matches: Callable[[DeadLetter], bool],
        handle: Callable[[DeadLetter], Awaitable[bool]],
        limit: int,
    ) -> bool:
        """See DeadLetters."""
        deadline = time.monotonic() + TIME_BUDGET
        matching = [each.sequence_number async for each in self._peek() if matches(_letter(each))]
        if not matching:
            return False
        left = set(matching[:limit])
        held: dict[int | None, ServiceBusReceivedMessage] = {}
        try:
            # Opened by `async with`: the first receive alone would count the opening into its wait.
            async with self._bus.client().get_queue_receiver(DEAD_QUEUE, socket_timeout=SOCKET_TIMEOUT) as receiver:

                async def settle(message: ServiceBusReceivedMessage, letter: DeadLetter) -> None:
                    # What matched may not do so any more, for what has been handled since.
                    if matches(letter) and await handle(letter):
                        await receiver.complete_message(message)
                        del held[message.sequence_number]

                try:
                    while left:
                        if time.monotonic() > deadline:
                            return True
                        messages = await receiver.receive_messages(_AT_ONCE, max_wait_time=_EMPTY_AFTER)
                        if not messages:
                            break  # what is left is in the hands of another call
                        held |= {message.sequence_number: message for message in messages}
                        wanted = [message for message in messages if message.sequence_number in left]
                        left -= {message.sequence_number for message in wanted}
                        for group in _groups(wanted):
                            await _all_of([settle(message, letter) for message, letter in group])
                    return len(matching) > limit
                finally:
                    await _give_back(receiver, held.values())
        except (AzureError, ServiceBusError) as exc:
            raise TransientError(f"Service Bus does not answer: {exc}") from exc


def _groups(
    messages: Sequence[ServiceBusReceivedMessage],
) -> Iterator[list[tuple[ServiceBusReceivedMessage, DeadLetter]]]:
    """Few enough to be handled at once, in order, and in no group two letters of the same job."""
    group: list[tuple[ServiceBusReceivedMessage, DeadLetter]] = []
    for message in messages:
        letter = _letter(message)
        if len(group) == _HANDLED_AT_ONCE or letter.job_id in {other.job_id for _, other in group}:
            yield group
            group = []
        group.append((message, letter))
    if group:
        yield group


async def _all_of(tasks: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Let all of them come to their end, then raise the first error: one that is cut off in the middle helps nobody."""
    for answer in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer


async def _give_back(receiver: ServiceBusReceiver, messages: Iterable[ServiceBusReceivedMessage]) -> None:
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
