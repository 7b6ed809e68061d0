"""An AMQP session: its links, its windows and the deliveries that receivers have yet to settle.

Source: OASIS AMQP 1.0 part 2, "Transport", sections 2.5 to 2.7.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from local.servicebus import codec, frames
from local.servicebus.cbs import entity_path
from local.servicebus.errors import (
    BrokerError,
    EntityNotFoundError,
    LockLostError,
    NotAllowedError,
    NotSupportedError,
)
from local.servicebus.links import (
    MAX_MESSAGE_BYTES,
    Incoming,
    Link,
    ManagementRequests,
    Outgoing,
    QueueReceiver,
    QueueSender,
    TokenRequests,
)
from local.servicebus.queue import DEAD_LETTER_SUFFIX, Queue
from local.servicebus.states import Outcome

if TYPE_CHECKING:
    from local.servicebus.connection import AmqpConnection

logger = logging.getLogger(__name__)

#: Transfer frames that either side may send before the other one says more.
WINDOW = 5000
#: Unsettled deliveries of a session at which those whose lock is gone are looked for.
_SWEEP_AT = 1000
_MANAGEMENT_SUFFIX = "/$management"
_CBS = "$cbs"
_UINT32 = 1 << 32
_SESSION_FILTER = "com.microsoft:session-filter"


class AmqpSession:
    """One session: its links, windows and the deliveries that its receivers have not settled."""

    def __init__(self, connection: AmqpConnection, channel: int, begin: list[Any]) -> None:
        self.channel = channel
        self.links: dict[int, Link] = {}
        self._connection = connection
        self._broker = connection.broker
        self._next_incoming_id = begin[1] or 0
        self._incoming_left = WINDOW
        self._next_outgoing_id = 0
        self._peer_window = begin[2] or 0
        self._held_back: deque[bytes] = deque()  # transfer frames that wait for the peer's window
        self._next_delivery_id = 0
        self._unsettled: dict[int, tuple[Queue, bytes]] = {}
        self._sweep_at = _SWEEP_AT

    # What links use --------------------------------------------------------------------------------------------------

    def send_flow(self, fields: list[bytes]) -> None:
        self._incoming_left = WINDOW
        windows = [self._next_incoming_id, WINDOW, self._next_outgoing_id, WINDOW]
        self._send(frames.frame(self.channel, frames.FLOW, [*map(codec.uint, windows), *fields]))

    def send_message(self, handle: int, tag: bytes, message: bytes, *, settled: bool) -> int:
        delivery_id = self._next_delivery_id
        self._next_delivery_id = (delivery_id + 1) % _UINT32
        parts = frames.transfers(
            self.channel,
            handle=handle,
            delivery_id=delivery_id,
            tag=tag,
            settled=settled,
            message=message,
            max_frame=self._connection.peer_max_frame,
        )
        self._held_back.extend(parts)
        self._send_held_back()
        return delivery_id

    def settle_incoming(self, delivery_id: int, state: bytes) -> None:
        self._send(frames.disposition(self.channel, from_receiver=True, delivery_id=delivery_id, state=state))

    def remember(self, delivery_id: int, queue: Queue, token: bytes) -> None:
        if len(self._unsettled) >= self._sweep_at:  # what was settled elsewhere, or not in time, is still there
            kept = {key: (owner, lock) for key, (owner, lock) in self._unsettled.items() if owner.is_locked(lock)}
            self._unsettled = kept
            self._sweep_at = max(_SWEEP_AT, 2 * len(kept))
        self._unsettled[delivery_id] = (queue, token)

    def reply_link(self, node: str, reply_to: str | None) -> Outgoing | None:
        links = [link for link in self.links.values() if isinstance(link, Outgoing)]
        for link in links:
            if reply_to is not None and link.reply_address == reply_to:
                return link
        return next((link for link in links if link.address.lower() == node.lower()), None)

    def detach_with(self, link: Link, error: BrokerError) -> None:
        if self._forget(link.handle) is not None:
            self._send(frames.detach(self.channel, link.handle, frames.error_of(error.condition, str(error))))

    def is_congested(self) -> bool:
        return bool(self._held_back) or self._connection.is_congested

    # Frames ----------------------------------------------------------------------------------------------------------

    def attach(self, body: bytes, fields: list[Any]) -> None:
        name, handle, client_receives = fields[0], fields[1], fields[2]
        source, target = _attach_termini(body)
        try:
            link = self._open_link(fields)
        except BrokerError as error:
            logger.info("refused a link: %s", error)
            # Null termini first, as AMQP 2.6.3 asks: the SDK takes anything else for a link that is open.
            self._send_attach(name, handle, client_receives, codec.NULL, codec.NULL, fields)
            self._send(frames.detach(self.channel, handle, frames.error_of(error.condition, str(error))))
            return
        self.links[handle] = link
        self._send_attach(name, handle, client_receives, source, target, fields)
        if isinstance(link, Incoming):
            link.grant_credit()

    def flow(self, fields: list[Any]) -> None:
        next_incoming, window, handle = fields[0], fields[1], fields[4]
        on_the_way = (self._next_outgoing_id - (next_incoming or 0)) % _UINT32
        if on_the_way > _UINT32 // 2:  # the client counts ahead of what it was sent
            on_the_way = 0
        self._peer_window = (window or 0) - on_the_way
        self._send_held_back()
        link = self.links.get(handle) if handle is not None else None
        if isinstance(link, Outgoing):
            link.flow(fields)
        elif link is None and fields[9] is True:  # echo, for the session
            self.send_flow([])
        self.resume()

    def transfer(self, fields: list[Any], payload: bytes) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) % _UINT32
        self._incoming_left -= 1
        if self._incoming_left <= WINDOW // 2:
            self.send_flow([])
        link = self.links.get(fields[0])
        if isinstance(link, Incoming):  # else it was detached while the client was sending
            link.transfer(fields, payload)

    def disposition(self, fields: list[Any]) -> None:
        from_receiver, first, last, settled, state = fields[:5]
        if from_receiver is not True:
            return  # the client settles what it sent, which was settled here with its outcome
        last = first if last is None else last
        if last - first > len(self._unsettled):
            ids = [number for number in self._unsettled if first <= number <= last]
        else:
            ids = list(range(first, last + 1))
        for delivery_id in ids:
            self._settle(delivery_id, state, settled=settled is True)

    def detach(self, fields: list[Any]) -> None:
        if self._forget(fields[0]) is not None:
            self._send(frames.detach(self.channel, fields[0]))

    def end(self) -> None:
        for handle in list(self.links):
            self._forget(handle)

    def resume(self) -> None:
        """Receivers that stopped because the client was slow may go on."""
        if not self.is_congested():
            for link in self.links.values():
                if isinstance(link, QueueReceiver):
                    link.resume()

    # Inside ----------------------------------------------------------------------------------------------------------

    def _send(self, frame: bytes) -> None:
        self._connection.send(frame)

    def _send_held_back(self) -> None:
        while self._held_back and self._peer_window > 0:
            self._peer_window -= 1
            self._next_outgoing_id = (self._next_outgoing_id + 1) % _UINT32
            self._send(self._held_back.popleft())

    def _forget(self, handle: int) -> Link | None:
        link = self.links.pop(handle, None)
        if link is not None:
            link.is_attached = False
            if isinstance(link, QueueReceiver):
                link.queue.leave(link)
        return link

    def _settle(self, delivery_id: int, state: Any, *, settled: bool) -> None:
        """Apply a receiver's decision and, once it is durable, echo it: the SDK compares that with what it asked."""
        echo = frames.ACCEPTED_STATE
        try:
            queue, token = self._find_unsettled(delivery_id)
            outcome, reason, description, echo = _decision(state)
            queue.settle(token, outcome, self._broker.clock(), reason, description)
        except BrokerError as error:
            echo = frames.rejected(error.condition, str(error))
        self._broker.after_commit(self._echo, delivery_id, None if settled else echo)

    def _find_unsettled(self, delivery_id: int) -> tuple[Queue, bytes]:
        found = self._unsettled.pop(delivery_id, None)
        if found is None:
            raise LockLostError(f"The delivery {delivery_id} is not locked (any more) by this session.")
        return found

    def _echo(self, delivery_id: int, state: bytes | None) -> None:
        if state is not None:
            self._send(frames.disposition(self.channel, from_receiver=False, delivery_id=delivery_id, state=state))

    def _send_attach(
        self, name: str, handle: int, client_receives: bool, source: bytes, target: bytes, fields: list[Any]
    ) -> None:
        reply = [
            codec.string(name),
            codec.uint(handle),
            codec.boolean(not client_receives),
            codec.ubyte(fields[3]),
            codec.ubyte(fields[4]),
            source,
            target,
            codec.NULL,
            codec.NULL,
            codec.uint(0) if client_receives else codec.NULL,
            codec.ulong(MAX_MESSAGE_BYTES),
            codec.NULL,
            codec.NULL,
            codec.map_of([codec.symbol("com.microsoft:max-message-batch-size"), codec.ulong(MAX_MESSAGE_BYTES)]),
        ]
        self._send(frames.frame(self.channel, frames.ATTACH, reply))

    def _open_link(self, fields: list[Any]) -> Link:
        """The link that an attach asks for. Raises BrokerError where it is refused."""
        handle, client_receives = fields[1], fields[2]
        source, target = fields[5], fields[6]
        if handle in self.links:
            raise NotAllowedError(f"The handle {handle} is in use by another link.")
        address = _address(source if client_receives else target)
        low = entity_path(address)
        if low == _CBS:
            if client_receives:
                return Outgoing(self, handle, address, _address(target))
            return TokenRequests(self, handle, address, self._broker, self._connection.claims)
        self._connection.claims.check(address, self._broker.clock())
        if "/subscriptions/" in low:
            raise NotSupportedError(f"'{address}' is a subscription: this emulator has queues only.")
        queue = self._broker.get(low.removesuffix(_MANAGEMENT_SUFFIX))
        if low.endswith(_MANAGEMENT_SUFFIX):
            if client_receives:
                return Outgoing(self, handle, address, _address(target))
            return ManagementRequests(self, handle, address, self._broker, queue)
        if client_receives:
            return self._open_receiver(fields, address, queue)
        queue.check_can_send()
        if low.endswith(DEAD_LETTER_SUFFIX):
            raise NotAllowedError(f"'{address}' is a dead-letter queue: nothing can be sent to it.")
        return QueueSender(self, handle, address, self._broker, queue)

    def _open_receiver(self, fields: list[Any], address: str, queue: Queue) -> Link:
        if _SESSION_FILTER in _filters(fields[5]):
            raise NotAllowedError(
                f"'{address}' does not require sessions: a session receiver cannot be created. Receive without one."
            )
        if queue.properties.forward_to:
            raise NotAllowedError(
                f"'{address}' forwards its messages to '{queue.properties.forward_to}': receive there."
            )
        queue.check_can_receive()
        deletes = fields[3] == 1  # the sender, this side, settles what it sends
        return QueueReceiver(self, fields[1], address, self._broker, queue, receives_and_deletes=deletes)


def _attach_termini(body: bytes) -> tuple[bytes, bytes]:
    """An attach frame's source and target as they came, to be echoed byte for byte."""
    start = codec.skip(body, 1)  # past the descriptor
    parts = [*codec.elements(body, start), *[codec.NULL] * 7]
    return parts[5], parts[6]


def _address(terminus: Any) -> str:
    if not isinstance(terminus, codec.Described) or not terminus.value or terminus.value[0] is None:
        raise EntityNotFoundError("The link names no address: set its source (to receive) or target (to send).")
    return str(terminus.value[0])


def _filters(source: codec.Described) -> dict[str, Any]:
    fields = source.value
    return dict(fields[7] or {}) if len(fields) > 7 else {}


def _decision(state: Any) -> tuple[Outcome, str | None, str | None, bytes]:
    """A delivery state as the queue's outcome, with reason and description of a dead letter, and its echo."""
    code = state.descriptor if isinstance(state, codec.Described) else None
    if code == frames.ACCEPTED:
        return Outcome.COMPLETE, None, None, frames.ACCEPTED_STATE
    if code == frames.RELEASED:
        return Outcome.RELEASE, None, None, frames.RELEASED_STATE
    fields = [*state.value, None, None] if code in {frames.MODIFIED, frames.REJECTED} else []
    if code == frames.MODIFIED:
        undeliverable_here = fields[1] is True
        flags = [codec.boolean(fields[0]), codec.boolean(undeliverable_here)]
        outcome = Outcome.DEFER if undeliverable_here else Outcome.ABANDON if fields[0] is True else Outcome.RELEASE
        return outcome, None, None, codec.described(frames.MODIFIED, codec.list_of(flags))
    if code == frames.REJECTED:
        error = [*fields[0].value, None, None, None] if fields[0] is not None else [None] * 3
        info = error[2] or {}
        echo = codec.described(frames.REJECTED, b"\x45")
        return Outcome.DEAD_LETTER, info.get("DeadLetterReason"), info.get("DeadLetterErrorDescription"), echo
    raise NotAllowedError("A delivery can be accepted, released, modified or rejected, nothing else.")
