"""Service Bus messages as functions see them: func.ServiceBusMessage with what the real host and worker put into it.

Sources: ServiceBusTriggerBindingStrategy and ServiceBusTriggerInput of the Service Bus extension 5.x, in
Azure/azure-sdk-for-net, for what is sent; ServiceBusMessageInConverter of azure.functions for what becomes of it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
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
    """The message with the fields that the extension sends; the others are None in Azure, and so they are here."""
    properties = application_properties(message)
    return ServiceBusMessage(
        body=_body(message),
        trigger_metadata=metadata,
        application_properties=properties,
        user_properties=properties,
        content_type=message.content_type,
        correlation_id=_optional_text(message.correlation_id),
        dead_letter_source=message.dead_letter_source,
        delivery_count=_delivery_count(message),
        enqueued_time_utc=_naive(message.enqueued_time_utc),
        expires_at_utc=_naive(_expires_at(message)),
        label=message.subject,
        lock_token=_optional_text(message.lock_token),
        message_id=_optional_text(message.message_id) or "",
        partition_key=message.partition_key,
        reply_to=message.reply_to,
        reply_to_session_id=message.reply_to_session_id,
        sequence_number=message.sequence_number,
        session_id=message.session_id,
        subject=message.subject,
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
    enqueued, expires = message.enqueued_time_utc, _expires_at(message)
    return {
        "DeliveryCount": _delivery_count(message),
        "DeadLetterSource": message.dead_letter_source,
        "LockToken": _optional_text(message.lock_token),
        "ExpiresAtUtc": _iso(_naive(expires)),
        "ExpiresAt": _iso(expires),
        "EnqueuedTimeUtc": _iso(_naive(enqueued)),
        "EnqueuedTime": _iso(enqueued),
        "MessageId": _optional_text(message.message_id),
        "ContentType": message.content_type,
        "ReplyTo": message.reply_to,
        "SequenceNumber": message.sequence_number,
        "To": message.to,
        "Subject": message.subject,
        "Label": message.subject,
        "CorrelationId": _optional_text(message.correlation_id),
        "ApplicationProperties": properties,
        "UserProperties": properties,
        "SessionId": message.session_id,
        "ReplyToSessionId": message.reply_to_session_id,
        "PartitionKey": message.partition_key,
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


def _expires_at(message: ServiceBusReceivedMessage) -> datetime:
    return message.expires_at_utc or datetime.max.replace(tzinfo=UTC)


def _naive(moment: datetime | None) -> datetime | None:
    """The UTC time without its zone: the extension sends DateTimeOffset.DateTime, of which the worker makes that."""
    return moment.replace(tzinfo=None) if moment else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
