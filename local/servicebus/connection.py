"""One AMQP connection: its handshake and frames. Whatever a client sends wrong ends its own connection only.

Source: OASIS AMQP 1.0 part 2, "Transport", and part 5, "Security".
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

from local.servicebus import codec, frames
from local.servicebus.broker import Broker
from local.servicebus.cbs import Claims
from local.servicebus.errors import BrokerError
from local.servicebus.links import Incoming, ManagementRequests
from local.servicebus.queue import Queue
from local.servicebus.session import WINDOW, AmqpSession
from local.servicebus.turns import Turns

logger = logging.getLogger(__name__)

_CHANNEL_MAX = 255
_HANDLE_MAX = 255
_UINT32 = 1 << 32
#: Bytes waiting for a slow client after which no further message is assigned to it.
_WRITE_BUFFER_BYTES = 1024 * 1024


class AmqpConnection(asyncio.Protocol):
    """The protocol of one client's socket, once its first bytes have shown that it speaks AMQP."""

    _transport: asyncio.Transport

    def __init__(self, broker: Broker, turns: Turns, key: str, connections: set[AmqpConnection]) -> None:
        """`connections` is where this one registers itself as long as it lives."""
        self.broker = broker
        self.claims = Claims(key)
        self.is_congested = False
        self.peer_max_frame = frames.MIN_FRAME_BYTES
        self.sessions: dict[int, AmqpSession] = {}
        self._turns = turns
        self._connections = connections
        self._received = b""
        self._unsent: list[bytes] = []
        self._header_expected = True
        self._is_closed = False
        self._heartbeat: asyncio.TimerHandle | None = None

    # asyncio ---------------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=_WRITE_BUFFER_BYTES)
        self._connections.add(self)

    def data_received(self, data: bytes) -> None:
        if self._is_closed:
            return
        try:
            self._consume(self._received + data if self._received else data)
        except codec.DecodeError as error:
            logger.warning("closed a connection whose client sent something malformed: %s", error)
            self._close(frames.error_of("amqp:decode-error", str(error)))
        except Exception as error:
            logger.exception("closed a connection after an internal error")
            self._close(frames.error_of("amqp:internal-error", repr(error)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._is_closed = True
        self._connections.discard(self)
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        for session in self.sessions.values():
            session.end()
        self.sessions.clear()

    def pause_writing(self) -> None:
        self.is_congested = True

    def resume_writing(self) -> None:
        self.is_congested = False
        for session in self.sessions.values():
            session.resume()

    # Out -------------------------------------------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Send a frame at the end of the broker's turn, together with all others of this connection."""
        if not self._unsent:
            self._turns.write_later(self._flush)
        self._unsent.append(frame)

    def detach_links(self, queue: Queue, error: BrokerError, *, senders: bool, receivers: bool) -> None:
        """Close this connection's links to a queue."""
        for session in self.sessions.values():
            for link in list(session.links.values()):
                wanted = senders if isinstance(link, Incoming) else receivers
                if link.queue is queue and wanted and not isinstance(link, ManagementRequests):
                    session.detach_with(link, error)

    def shut_down(self) -> None:
        """Tell the client that the emulator stops."""
        if not self._is_closed:
            self._close(frames.error_of("amqp:connection:forced", "The emulator was stopped."))

    def _flush(self) -> None:
        data, self._unsent = b"".join(self._unsent), []
        if not self._transport.is_closing():
            self._transport.write(data)

    def _close(self, error: bytes = codec.NULL) -> None:
        self._is_closed = True
        self.send(frames.close(error))
        self._flush()
        self._transport.close()

    def _beat(self, interval: float) -> None:
        self.send(frames.EMPTY_FRAME)
        self._heartbeat = asyncio.get_running_loop().call_later(interval, self._beat, interval)

    # In --------------------------------------------------------------------------------------------------------------

    def _consume(self, data: bytes) -> None:
        """Take protocol headers and whole frames from `data` and keep the rest."""
        position = 0
        while not self._is_closed:
            end = self._take_header(data, position) if self._header_expected else self._take_frame(data, position)
            if end is None:
                break
            position = end
        self._received = data[position:]

    def _take_header(self, data: bytes, position: int) -> int | None:
        """Where a protocol header ended; None if it is not there in whole."""
        end = position + len(frames.AMQP_HEADER)
        if end > len(data):
            return None
        self._greet(data[position:end])
        return end

    def _take_frame(self, data: bytes, position: int) -> int | None:
        """Where a frame ended; None if it is not there in whole."""
        found = frames.find_frame(data, position)
        if found is None:
            return None
        channel, start, end = found
        if end > start:  # else an empty frame: a heartbeat
            self._frame(channel, data[start:end])
        return end

    def _greet(self, header: bytes) -> None:
        self._header_expected = False
        if header == frames.SASL_HEADER:
            self.send(frames.SASL_HEADER + frames.sasl_mechanisms(["ANONYMOUS", "MSSBCBS"]))
        else:
            self.send(frames.AMQP_HEADER)
            if header != frames.AMQP_HEADER:
                logger.warning("closed a connection that asked for another protocol: %r", header)
                self._close()

    def _frame(self, channel: int, body: bytes) -> None:
        code, fields, payload = frames.performative(body)
        if code == frames.SASL_INIT:
            # Who the client is, its tokens say; SASL only opens the door.
            self.send(frames.sasl_outcome(0))
            self._header_expected = True
        elif code == frames.OPEN:
            self._open(fields)
        elif code == frames.BEGIN:
            self.sessions[channel] = AmqpSession(self, channel, fields)
            self.send(frames.begin(channel, next_outgoing_id=0, window=WINDOW, handle_max=_HANDLE_MAX))
        elif code == frames.CLOSE:
            self._close()
        elif (session := self.sessions.get(channel)) is not None:
            self._session_frame(session, code, fields, body, payload)
        # else: after its end. The SDK detaches its links once more then.

    def _session_frame(self, session: AmqpSession, code: int, fields: list[Any], body: bytes, payload: int) -> None:
        if code == frames.TRANSFER:
            session.transfer(fields, body[payload:])
        elif code == frames.DISPOSITION:
            session.disposition(fields)
        elif code == frames.FLOW:
            session.flow(fields)
        elif code == frames.ATTACH:
            session.attach(body, fields)
        elif code == frames.DETACH:
            session.detach(fields)
        elif code == frames.END:
            session.end()
            del self.sessions[session.channel]
            self.send(frames.end(session.channel))

    def _open(self, fields: list[Any]) -> None:
        self.peer_max_frame = min(frames.MAX_FRAME_BYTES, max(frames.MIN_FRAME_BYTES, fields[2] or _UINT32))
        self.send(frames.open_("local-servicebus", _CHANNEL_MAX))
        idle_timeout = fields[4]
        if idle_timeout:  # ms after which the client takes a silent peer for dead
            self._beat(idle_timeout / 2000)
