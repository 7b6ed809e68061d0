"""Service Bus messages as functions see them: func.ServiceBusMessage with what the real host and worker put into it.

Source: azure.functions.servicebus.ServiceBusMessageInConverter, and the binding data of the Service Bus extension.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from azure.functions.meta import Datum
from azure.functions.servicebus import ServiceBusMessage

from local.host.indexing import Function

if TYPE_CHECKING:
    from azure.servicebus import ServiceBusReceivedMessage


def trigger_argument(function: Function, messages: list[ServiceBusReceivedMessage]) -> Any:
    """What the function's trigger parameter gets for `messages`: one message, or a list for cardinality many."""
    if is_batch(function):
        metadata = _TriggerMetadata(messages, batch=True)
        return [_function_message(message, metadata) for message in messages]
    (message,) = messages
    return _typed(function, _function_message(message, _TriggerMetadata(messages, batch=False)))


def message_from_input(function: Function, text: str) -> Any:
    """The argument of a call through the host APIs, where `text` is the message's body and no queue is involved."""
    message = ServiceBusMessage(body=text.encode(), application_properties={}, user_properties={}, message_id="")
    return [message] if is_batch(function) else _typed(function, message)


def is_batch(function: Function) -> bool:
    """Whether the function takes a list of messages."""
    return str(function.trigger.get("cardinality", "one")).lower() == "many"


def application_properties(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    """The message's own properties with text decoded; values that JSON lacks become text, as in the real host."""
    return {_text(key): _plain(value) for key, value in (message.application_properties or {}).items()}


def trigger_details(message: ServiceBusReceivedMessage) -> str:
    """The host's `Trigger Details` of a message."""
    return (
        f"MessageId: {message.message_id}, SequenceNumber: {message.sequence_number}, "
        f"DeliveryCount: {_delivery_count(message)}, EnqueuedTimeUtc: {_iso(message.enqueued_time_utc)}, "
        f"LockedUntilUtc: {_iso(message.locked_until_utc)}, SessionId: {message.session_id or '(null)'}"
    )


def _typed(function: Function, message: ServiceBusMessage) -> Any:
    """A parameter annotated str or bytes gets the body alone: text, unless the binding asks for binary data."""
    if function.inputs[function.trigger["name"]].binding != "generic":
        return message
    binary = str(function.trigger.get("dataType", "")).lower() == "binary"
    return message.get_body() if binary else message.get_body().decode("utf-8", "replace")


def _function_message(message: ServiceBusReceivedMessage, metadata: _TriggerMetadata) -> ServiceBusMessage:
    properties = application_properties(message)
    return ServiceBusMessage(
        body=_body(message),
        trigger_metadata=metadata,
        application_properties=properties,
        user_properties=properties,
        content_type=message.content_type,
        correlation_id=_optional_text(message.correlation_id),
        dead_letter_error_description=message.dead_letter_error_description,
        dead_letter_reason=message.dead_letter_reason,
        dead_letter_source=message.dead_letter_source,
        delivery_count=_delivery_count(message),
        enqueued_sequence_number=message.enqueued_sequence_number,
        enqueued_time_utc=message.enqueued_time_utc,
        expires_at_utc=message.expires_at_utc,
        label=message.subject,
        locked_until=message.locked_until_utc,
        lock_token=_optional_text(message.lock_token),
        message_id=_optional_text(message.message_id) or "",
        partition_key=message.partition_key,
        reply_to=message.reply_to,
        reply_to_session_id=message.reply_to_session_id,
        scheduled_enqueue_time_utc=message.scheduled_enqueue_time_utc,
        sequence_number=message.sequence_number,
        session_id=message.session_id,
        state=int(message.state),
        subject=message.subject,
        time_to_live=message.time_to_live,
        to=message.to,
    )


class _TriggerMetadata(Mapping[str, Datum]):
    """The trigger metadata behind `message.metadata`, built only when a function looks at it.

    For a batch every name ends in `Array` and holds a value for each message, as the extension sends them.
    """

    def __init__(self, messages: list[ServiceBusReceivedMessage], *, batch: bool) -> None:
        self._messages = messages
        self._batch = batch
        self._built: dict[str, Datum] | None = None

    def __getitem__(self, name: str) -> Datum:
        return self._data()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data())

    def __len__(self) -> int:
        return len(self._data())

    def _data(self) -> dict[str, Datum]:
        if self._built is None:
            rows = [_metadata(message) for message in self._messages]
            if self._batch:
                self._built = {f"{name}Array": _datum([row[name] for row in rows]) for name in rows[0]}
            else:
                self._built = {name: _datum(value) for name, value in rows[0].items() if value is not None}
        return self._built


def _metadata(message: ServiceBusReceivedMessage) -> dict[str, Any]:
    properties = application_properties(message)
    return {
        "ApplicationProperties": properties,
        "UserProperties": properties,
        "ContentType": message.content_type,
        "CorrelationId": _optional_text(message.correlation_id),
        "DeadLetterErrorDescription": message.dead_letter_error_description,
        "DeadLetterReason": message.dead_letter_reason,
        "DeadLetterSource": message.dead_letter_source,
        "DeliveryCount": _delivery_count(message),
        "EnqueuedSequenceNumber": message.enqueued_sequence_number,
        "EnqueuedTimeUtc": _iso(message.enqueued_time_utc),
        "ExpiresAtUtc": _iso(message.expires_at_utc),
        "Label": message.subject,
        "LockToken": _optional_text(message.lock_token),
        "LockedUntil": _iso(message.locked_until_utc),
        "MessageId": _optional_text(message.message_id),
        "PartitionKey": message.partition_key,
        "ReplyTo": message.reply_to,
        "ReplyToSessionId": message.reply_to_session_id,
        "ScheduledEnqueueTimeUtc": _iso(message.scheduled_enqueue_time_utc),
        "SequenceNumber": message.sequence_number,
        "SessionId": message.session_id,
        "Subject": message.subject,
        "TimeToLive": str(message.time_to_live) if message.time_to_live else None,
        "To": message.to,
    }


def _datum(value: Any) -> Datum:
    return Datum(value, "string") if isinstance(value, str) else Datum(json.dumps(value), "json")


def _body(message: ServiceBusReceivedMessage) -> bytes:
    body = message.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, Iterator):
        parts = list(body)
        if all(isinstance(part, bytes) for part in parts):
            return b"".join(parts)
        body = parts
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(_plain(body)).encode()


def _delivery_count(message: ServiceBusReceivedMessage) -> int:
    """Deliveries begun, this one included: AMQP counts the failed ones before it, the .NET host from 1."""
    return (message.delivery_count or 0) + 1


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _plain(value: Any) -> Any:
    match value:
        case None | bool() | int() | float() | str():
            return value
        case bytes() | uuid.UUID():
            return _text(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return str(value)
        case dict():
            return {_text(key): _plain(entry) for key, entry in value.items()}
        case list() | tuple():
            return [_plain(entry) for entry in value]
        case _:
            return str(value)


def _iso(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None
