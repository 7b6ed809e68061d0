"""The links of a session: what attaches to a queue, its management node or `$cbs`, in either direction."""

from __future__ import annotations

from typing import Any, Protocol

from local.servicebus import codec, frames, management
from local.servicebus import message as wire
from local.servicebus.broker import Broker
from local.servicebus.cbs import Claims
from local.servicebus.errors import BrokerError, MessageTooLargeError, UnauthorizedError
from local.servicebus.management import Operations, Request
from local.servicebus.queue import Queue
from local.servicebus.store import Message

MAX_MESSAGE_BYTES = 262_144  # the Standard tier's limit
_CREDIT = 1000
_UINT32 = 1 << 32


class Session(Protocol):
    """What a link needs of its session."""

    def send_flow(self, fields: list[bytes]) -> None:
        """A flow frame for a link: handle, delivery-count, link-credit, available, drain."""

    def send_message(self, handle: int, tag: bytes, message: bytes, *, settled: bool) -> int:
        """Transfer a message and return its delivery id."""

    def settle_incoming(self, delivery_id: int, state: bytes) -> None:
        """Tell the sender of a delivery its outcome."""

    def remember(self, delivery_id: int, queue: Queue, token: bytes) -> None:
        """Keep what a receiver's disposition of that delivery settles."""

    def reply_link(self, node: str, reply_to: str | None) -> Outgoing | None:
        """The link on which replies of a management node go out."""

    def detach_with(self, link: Link, error: BrokerError) -> None:
        """Close a link for a reason."""

    def is_congested(self) -> bool:
        """Whether the peer does not take what it was sent: nothing more should be handed to it."""


class Link:
    """One end of a link; `handle` is the number that both peers use for it."""

    def __init__(self, session: Session, handle: int, address: str) -> None:
        self.session = session
        self.handle = handle
        self.address = address
        self.queue: Queue | None = None
        self.is_attached = True


class Incoming(Link):
    """A link on which the client sends."""

    def __init__(self, session: Session, handle: int, address: str) -> None:
        super().__init__(session, handle, address)
        self.delivery_count = 0
        self._credit = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._first: list[Any] | None = None

    def grant_credit(self) -> None:
        """Allow more deliveries once half of the last grant is used up."""
        if self._credit <= _CREDIT // 2:
            self._credit = _CREDIT
            count, credit = codec.uint(self.delivery_count), codec.uint(self._credit)
            self.session.send_flow([codec.uint(self.handle), count, credit])

    def transfer(self, fields: list[Any], payload: bytes) -> None:
        """Take one transfer frame; a message ends with the first one that has no `more`.

        Delivery ids and tags are not checked: threads that share an SDK receiver send management requests without a
        lock, and two requests may then carry the same ones.
        """
        if self._first is None:
            self._first = fields
        self._size += len(payload)
        if self._size <= MAX_MESSAGE_BYTES:
            self._parts.append(payload)
        if fields[5] is True:  # more
            return
        first, parts, size = self._first, self._parts, self._size
        self._first, self._parts, self._size = None, [], 0
        self.delivery_count = (self.delivery_count + 1) % _UINT32
        self._credit -= 1
        self.grant_credit()
        if fields[9] is True:  # aborted
            return
        delivery_id = None if first[4] is True else first[1]  # a settled delivery wants no answer
        try:
            if size > MAX_MESSAGE_BYTES:
                raise MessageTooLargeError(
                    f"The received message (delivery-id:{first[1]}, size:{size} bytes) exceeds the limit "
                    f"({MAX_MESSAGE_BYTES} bytes) currently allowed on the link."
                )
            self.take(b"".join(parts), first[3] or 0, delivery_id)
        except (BrokerError, codec.DecodeError) as error:
            condition = error.condition if isinstance(error, BrokerError) else "amqp:decode-error"
            if delivery_id is not None:
                self.session.settle_incoming(delivery_id, frames.rejected(condition, str(error)))

    def take(self, message: bytes, message_format: int, delivery_id: int | None) -> None:
        """Take a whole message and see that it is answered. Raises BrokerError, DecodeError."""
        raise NotImplementedError


class QueueSender(Incoming):
    """The client sends to a queue."""

    def __init__(self, session: Session, handle: int, address: str, broker: Broker, queue: Queue) -> None:
        super().__init__(session, handle, address)
        self.queue: Queue = queue
        self._broker = broker

    def take(self, message: bytes, message_format: int, delivery_id: int | None) -> None:
        self.queue.check_can_send()
        self._broker.check_not_busy()
        now = self._broker.clock()
        for body in wire.batch(message) if message_format == wire.BATCH_FORMAT else [message]:
            self.queue.put(body, now)
        if delivery_id is None:
            self._broker.wake()
        else:
            self._broker.after_commit(self.session.settle_incoming, delivery_id, frames.ACCEPTED_STATE)


class RequestLink(Incoming):
    """The client sends requests to a node that answers on a link of its own."""

    def __init__(self, session: Session, handle: int, address: str, broker: Broker) -> None:
        super().__init__(session, handle, address)
        self._broker = broker

    def take(self, message: bytes, message_format: int, delivery_id: int | None) -> None:  # noqa: ARG002 - see Incoming
        request = management.parse_request(message)
        reply = self.answer(request)
        if delivery_id is not None:
            self._broker.after_commit(self.session.settle_incoming, delivery_id, frames.ACCEPTED_STATE)
        self._broker.after_commit(self._send, request, reply)

    def answer(self, request: Request) -> bytes:
        """The encoded reply to a request."""
        raise NotImplementedError

    def _send(self, request: Request, reply: bytes) -> None:
        link = self.session.reply_link(self.address, request.reply_to)
        if link is not None:
            link.send_reply(reply)


class ManagementRequests(RequestLink):
    """The client manages a queue's messages."""

    def __init__(self, session: Session, handle: int, address: str, broker: Broker, queue: Queue) -> None:
        super().__init__(session, handle, address, broker)
        self.queue: Queue = queue
        self._operations = Operations(broker, queue)

    def answer(self, request: Request) -> bytes:
        return management.encode_management_reply(request, self._operations.run(request))


class TokenRequests(RequestLink):
    """The client shows tokens to `$cbs`."""

    def __init__(self, session: Session, handle: int, address: str, broker: Broker, claims: Claims) -> None:
        super().__init__(session, handle, address, broker)
        self._claims = claims

    def answer(self, request: Request) -> bytes:
        status, description = 202, "Accepted"
        audience = str(request.properties.get("name", ""))
        try:
            self._claims.put(str(request.body), audience, self._broker.clock())
        except UnauthorizedError as error:
            status, description = error.status, str(error)
        properties = [codec.string("status-code"), codec.int32(status)]
        properties += [codec.string("status-description"), codec.string(description)]
        return management.encode_reply(request.message_id, properties, codec.NULL)


class Outgoing(Link):
    """A link on which the client receives."""

    def __init__(self, session: Session, handle: int, address: str, reply_address: str) -> None:
        super().__init__(session, handle, address)
        self.reply_address = reply_address
        self._delivery_count = 0
        self._replies = 0

    def flow(self, fields: list[Any]) -> None:
        """The client has changed its credit."""

    def send_reply(self, message: bytes) -> None:
        """Send a reply. Credit is not asked for: the SDK never renews what it gave its reply link."""
        self._replies += 1
        self.session.send_message(self.handle, self._replies.to_bytes(4, "big"), message, settled=True)


class QueueReceiver(Outgoing):
    """The client receives from a queue."""

    def __init__(
        self,
        session: Session,
        handle: int,
        address: str,
        broker: Broker,
        queue: Queue,
        *,
        receives_and_deletes: bool,
    ) -> None:
        super().__init__(session, handle, address, "")
        self.queue: Queue = queue
        self.receives_and_deletes = receives_and_deletes
        self.is_waiting = False
        self._broker = broker
        self._credit = 0

    def can_take(self) -> bool:
        return self._credit > 0 and self.is_attached and not self.session.is_congested()

    def reserve(self) -> None:
        self._credit -= 1
        self._delivery_count = (self._delivery_count + 1) % _UINT32

    def deliver(self, queue: Queue, message: Message, delivery: wire.Delivery) -> None:
        token = delivery.lock_token
        tag = message.id.to_bytes(16, "big") if token is None else token
        body = queue.render(message, delivery)
        delivery_id = self.session.send_message(self.handle, tag, body, settled=token is None)
        if token is not None:
            self.session.remember(delivery_id, queue, token)

    def flow(self, fields: list[Any]) -> None:
        _, _, _, _, _, count, credit, _, drain, echo, _ = fields
        used = (self._delivery_count - (count or 0)) % _UINT32
        self._credit = max(0, (credit or 0) - used)
        self.resume()
        if drain is True:
            self._broker.after_commit(self._drained)
        elif echo is True:
            self._broker.after_commit(self._tell_flow, False)

    def resume(self) -> None:
        """Stand in the queue's line again, where there is credit."""
        if self.can_take():
            self.queue.wait(self)

    def _drained(self) -> None:
        self._delivery_count = (self._delivery_count + self._credit) % _UINT32
        self._credit = 0
        self._tell_flow(True)

    def _tell_flow(self, drain: bool) -> None:
        if self.is_attached:
            count, credit = codec.uint(self._delivery_count), codec.uint(self._credit)
            self.session.send_flow([codec.uint(self.handle), count, credit, codec.uint(0), codec.boolean(drain)])
