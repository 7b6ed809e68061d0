"""`$management`: a queue's request-response operations. Source: the AMQP request/response operations that
https://learn.microsoft.com/azure/service-bus-messaging/service-bus-amqp-request-response lists.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from local.servicebus import codec
from local.servicebus import message as wire
from local.servicebus.broker import Broker
from local.servicebus.codec import map_of, string, symbol
from local.servicebus.errors import ArgumentError, BrokerError, NotSupportedError
from local.servicebus.queue import Queue
from local.servicebus.states import Outcome

_PREFIX = "com.microsoft:"
_OUTCOMES = {
    "completed": Outcome.COMPLETE,
    "abandoned": Outcome.ABANDON,
    "defered": Outcome.DEFER,  # sic
    "suspended": Outcome.DEAD_LETTER,
}
#: A reply of peeked messages stops growing here.
_MAX_PEEK_BYTES = 1024 * 1024


class Request(NamedTuple):
    """A request message; ids stay encoded because the reply repeats them as they came."""

    operation: str
    message_id: bytes
    reply_to: str | None
    properties: dict[str, Any]
    body: Any


class Reply(NamedTuple):
    """An operation's outcome: `body` is the encoded value."""

    status: int
    description: str
    condition: str | None = None
    body: bytes = codec.NULL


def parse_request(data: bytes) -> Request:
    """Raises DecodeError."""
    message_id, reply_to, properties, body = codec.NULL, None, {}, None
    for code, _, value, _ in wire.sections(data):
        if code == wire.PROPERTIES:
            fields = [*codec.elements(data, value), *[codec.NULL] * 5]
            message_id, reply_to = fields[0], codec.decode(fields[4])[0]
        elif code == wire.APPLICATION_PROPERTIES:
            properties = codec.decode(data, value)[0]
        elif code == wire.VALUE:
            body = codec.decode(data, value)[0]
    return Request(str(properties.get("operation", "")), message_id, reply_to, properties, body)


def encode_reply(correlation_id: bytes, properties: list[bytes], body: bytes) -> bytes:
    header = codec.list_of([*[codec.NULL] * 5, correlation_id])
    return b"".join(
        (
            codec.described(wire.PROPERTIES, header),
            codec.described(wire.APPLICATION_PROPERTIES, map_of(properties)),
            codec.described(wire.VALUE, body),
        )
    )


def encode_management_reply(request: Request, reply: Reply) -> bytes:
    properties = [string("statusCode"), codec.int32(reply.status)]
    properties += [string("statusDescription"), string(reply.description)]
    if reply.condition is not None:
        properties += [string("errorCondition"), symbol(reply.condition)]
    return encode_reply(request.message_id, properties, reply.body)


class Operations:
    """The operations on one queue. What they change is durable once the broker's turn is over."""

    def __init__(self, broker: Broker, queue: Queue) -> None:
        self._broker = broker
        self._queue = queue
        self._by_name: dict[str, Callable[[dict[str, Any]], Reply]] = {
            "schedule-message": self._schedule,
            "cancel-scheduled-message": self._cancel,
            "peek-message": self._peek,
            "renew-lock": self._renew,
            "receive-by-sequence-number": self._receive_deferred,
            "update-disposition": self._settle,
        }

    def run(self, request: Request) -> Reply:
        """Run an operation; what the broker refuses becomes the reply."""
        operation = self._by_name.get(request.operation.removeprefix(_PREFIX))
        try:
            if operation is None:
                raise NotSupportedError(
                    f"The operation '{request.operation}' is not supported: this emulator has no sessions or rules."
                )
            if not isinstance(request.body, dict):
                raise ArgumentError("The request's body is not a map.")
            return operation(request.body)
        except BrokerError as error:
            return Reply(error.status, str(error), error.condition)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Reply(400, f"The request is malformed: {error!r}", ArgumentError.condition)

    def _schedule(self, body: dict[str, Any]) -> Reply:
        self._queue.check_can_send()
        now = self._broker.clock()
        numbers = [codec.long(self._queue.put(entry["message"], now)) for entry in body["messages"]]
        return _ok([symbol("sequence-numbers"), codec.array_of(0x81, numbers)])

    def _cancel(self, body: dict[str, Any]) -> Reply:
        self._queue.cancel(body["sequence-numbers"])
        return _ok([])

    def _peek(self, body: dict[str, Any]) -> Reply:
        entries: list[bytes] = []
        size = 0
        for message in self._queue.peek(body["from-sequence-number"], body["message-count"]):
            size += message.size
            if entries and size > _MAX_PEEK_BYTES:
                break
            delivery = self._queue.describe(message)._replace(lock_token=None)
            entries.append(map_of([symbol("message"), codec.binary(self._queue.render(message, delivery))]))
        if not entries:
            return Reply(204, "No Content")
        return _ok([symbol("messages"), codec.list_of(entries)])

    def _renew(self, body: dict[str, Any]) -> Reply:
        now = self._broker.clock()
        expirations = [codec.timestamp(self._queue.renew(token, now)) for token in _tokens(body)]
        return _ok([symbol("expirations"), codec.array_of(0x83, expirations)])

    def _receive_deferred(self, body: dict[str, Any]) -> Reply:
        delete = body.get("receiver-settle-mode") == 0
        entries = []
        for message, delivery in self._queue.receive_deferred(
            body["sequence-numbers"], self._broker.clock(), delete=delete
        ):
            token = uuid.uuid4().bytes if delivery.lock_token is None else wire.big_endian(delivery.lock_token)
            rendered = codec.binary(self._queue.render(message, delivery))
            entries.append(map_of([symbol("message"), rendered, symbol("lock-token"), codec.uuid_bytes(token)]))
        return _ok([symbol("messages"), codec.list_of(entries)])

    def _settle(self, body: dict[str, Any]) -> Reply:
        outcome = _OUTCOMES.get(body["disposition-status"])
        if outcome is None:
            raise ArgumentError(f"The disposition-status '{body['disposition-status']}' is not known.")
        now = self._broker.clock()
        for token in _tokens(body):
            self._queue.settle(token, outcome, now, body.get("deadletter-reason"), body.get("deadletter-description"))
        return _ok([])


def _ok(pairs: list[bytes]) -> Reply:
    return Reply(200, "OK", None, map_of(pairs))


def _tokens(body: dict[str, Any]) -> list[bytes]:
    return [token.bytes_le for token in body["lock-tokens"]]
