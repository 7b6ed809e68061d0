"""The one port: clients that speak AMQP and clients of the admin HTTP API, told apart by their first bytes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from local.process import announce
from local.servicebus.admin import Admin
from local.servicebus.broker import Broker
from local.servicebus.config import QueueProperties
from local.servicebus.connection import AmqpConnection
from local.servicebus.errors import BrokerError, EntityDisabledError, EntityNotFoundError
from local.servicebus.http import HttpConnection
from local.servicebus.queue import Queue
from local.servicebus.store import Store
from local.servicebus.turns import Turns

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"


class Doorman(asyncio.Protocol):
    """Reads a connection's first bytes and hands it to the protocol that they belong to."""

    _transport: asyncio.Transport

    def __init__(self, amqp: Callable[[], asyncio.Protocol], http: Callable[[], asyncio.Protocol]) -> None:
        self._amqp = amqp
        self._http = http
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received[0] == 0x16:
            logger.warning("closed a connection that began with TLS: add UseDevelopmentEmulator=true, or use http://")
            self._transport.close()
        elif len(self._received) >= 4:
            protocol = self._amqp() if self._received.startswith(b"AMQP") else self._http()
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
            protocol.data_received(self._received)


async def serve(stop: asyncio.Event, *, port: int, data: Path, queues: dict[str, QueueProperties], key: str) -> None:
    """Serve until `stop` is set. Raises OSError for a busy port, sqlite3.Error for an unusable file."""
    store = Store(data)
    broker = Broker(store, time.time)
    broker.define(queues)
    connections: set[AmqpConnection] = set()

    def close_links(queue: Queue) -> None:
        """Close what a changed status or a deletion ends. A sender stays: its sends get precise refusals."""
        is_gone = broker.find(queue.name) is not queue
        receives = queue.properties.status in {"Active", "SendDisabled"}
        error: BrokerError = EntityDisabledError(f"Messaging entity '{queue.name}' is currently disabled.")
        if is_gone:
            error = EntityNotFoundError(f"The messaging entity '{queue.name}' has been deleted.")
        for connection in list(connections):
            connection.detach_links(queue, error, senders=is_gone, receivers=is_gone or not receives)

    broker.on_closed = close_links
    turns = Turns(broker)
    admin = Admin(broker, key)

    def greet() -> Doorman:
        return Doorman(
            amqp=lambda: AmqpConnection(broker, turns, key, connections),
            http=lambda: HttpConnection(admin.answer),
        )

    server = await asyncio.get_running_loop().create_server(greet, HOST, port)
    announce(f"amqp://{HOST}:{server.sockets[0].getsockname()[1]}")
    await stop.wait()
    server.close()
    broker.turn()  # what has arrived is kept and answered
    for connection in list(connections):
        connection.shut_down()
    store.close()
