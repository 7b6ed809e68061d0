"""The one port: clients that speak AMQP and clients of the admin HTTP API, told apart by their first bytes."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from local.process import announce
from local.servicebus.broker import Broker
from local.servicebus.config import QueueProperties
from local.servicebus.connection import AmqpConnection
from local.servicebus.errors import BrokerError, EntityDisabledError, EntityNotFoundError
from local.servicebus.queue import Queue
from local.servicebus.store import Store

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
_MAX_TIMER_SECONDS = 86_400.0


class Doorman(asyncio.Protocol):
    """Reads a connection's first bytes and hands it to the protocol that they belong to."""

    def __init__(self, amqp: Callable[[], asyncio.Protocol], http: Callable[[], asyncio.Protocol]) -> None:
        self._amqp = amqp
        self._http = http
        self._transport: asyncio.Transport | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        if self._received[0] == 0x16:
            logger.warning("closed a connection that began with TLS: add UseDevelopmentEmulator=true, or use http://")
            self._transport.close()
        elif len(self._received) >= 4:
            protocol = self._amqp() if self._received.startswith(b"AMQP") else self._http()
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
            protocol.data_received(self._received)


class Turns:
    """Runs the broker's turns: soon after something happened, and when the next alarm is due. Never without cause."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._loop = asyncio.get_running_loop()
        self._is_scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        broker.wake = self.wake
        self.wake()

    def wake(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        self._is_scheduled = False
        try:
            self._broker.turn()
        except sqlite3.Error:
            # Memory has what the disk has not. Nothing of it was acknowledged, so a restart is the way back.
            logger.critical("the database could not be written; stopping at once", exc_info=True)
            os._exit(1)
        self._set_timer()

    def _set_timer(self) -> None:
        alarm = self._broker.next_alarm()
        if alarm is None:
            return
        when = self._loop.time() + min(max(0.0, alarm - self._broker.clock()), _MAX_TIMER_SECONDS)
        if self._timer is None or when < self._timer.when():
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(when, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.wake()


async def serve(stop: asyncio.Event, *, port: int, data: Path, queues: dict[str, QueueProperties], key: str) -> None:
    """Serve until `stop` is set. Raises OSError for a busy port, sqlite3.Error for an unusable file."""
    store = Store(data)
    broker = Broker(store, time.time)
    broker.define(queues)
    connections: set[AmqpConnection] = set()

    def close_links(queue: Queue) -> None:
        is_gone = broker.find(queue.name) is not queue
        error: BrokerError = EntityDisabledError(f"Messaging entity '{queue.name}' is currently disabled.")
        if is_gone:
            error = EntityNotFoundError(f"The messaging entity '{queue.name}' has been deleted.")
        status = queue.properties.status
        for connection in list(connections):
            connection.detach_links(
                queue,
                error,
                senders=is_gone or status in {"Disabled", "SendDisabled"},
                receivers=is_gone or status in {"Disabled", "ReceiveDisabled"},
            )

    broker.on_closed = close_links
    Turns(broker)
    server = await asyncio.get_running_loop().create_server(
        lambda: Doorman(
            lambda: AmqpConnection(broker, key, connections), lambda: AmqpConnection(broker, key, connections)
        ),
        HOST,
        port,
    )
    async with server:
        announce(f"amqp://{HOST}:{server.sockets[0].getsockname()[1]}")
        await stop.wait()
    broker.turn()
    store.close()
