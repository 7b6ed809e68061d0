"""The SDK's clients for these tests: one way to write a test for both the sync and the async one."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from azure.core.pipeline.transport import RequestsTransport
from azure.servicebus import ServiceBusClient
from azure.servicebus.aio import ServiceBusClient as AsyncServiceBusClient
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.services import Service

KEY = "key-of-the-tests"
ENVIRONMENT = {"SERVICEBUS_KEY": KEY}
#: The SDK polls its socket with this timeout, and closing a receiver waits for two such polls.
_POLL_SECONDS = 0.05
#: How long a receive waits for a message that is expected, and for one that is not.
SOON, NEVER = 10, 0.3


def connection_string(port: int, key: str = KEY) -> str:
    return (
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={key};"
        "UseDevelopmentEmulator=true;"
    )


class PlainHttp(RequestsTransport):  # type: ignore[misc]  # azure-core exports it lazily
    """Takes the administration client, which always asks for https, to the emulator's http."""

    def send(self, request: Any, **options: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


def administration(port: int, key: str = KEY) -> ServiceBusAdministrationClient:
    return ServiceBusAdministrationClient.from_connection_string(connection_string(port, key), transport=PlainHttp())


class Awaited:
    """An SDK object whose methods are all awaited, whichever client it belongs to."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        member = getattr(self.target, name)

        async def call(*arguments: Any, **options: Any) -> Any:
            outcome = member(*arguments, **options)
            return await outcome if inspect.isawaitable(outcome) else outcome

        return call


class Sdk:
    """Senders and receivers of one of the two clients. Nothing is tried again, so that errors show at once."""

    def __init__(self, kind: str, port: int, key: str = KEY) -> None:
        maker = ServiceBusClient if kind == "sync" else AsyncServiceBusClient
        text = connection_string(port, key)
        self.client: Any = maker.from_connection_string(text, retry_total=0, socket_timeout=_POLL_SECONDS, keep_alive=0)
        self._kind = kind

    def sender(self, queue: str) -> Any:
        return self.client.get_queue_sender(queue)

    def receiver(self, queue: str, **options: Any) -> Any:
        return self.client.get_queue_receiver(queue, **options)

    @contextlib.asynccontextmanager
    async def open(self, *links: Any) -> AsyncIterator[list[Awaited]]:
        """Senders and receivers for a block, opened and closed at the same time: each takes the SDK a second."""
        try:
            await asyncio.gather(*(self._call(link, "enter") for link in links))
            yield [Awaited(link) for link in links]
        finally:
            await asyncio.gather(*(self._call(link, "exit", None, None, None) for link in links))

    async def _call(self, link: Any, name: str, *arguments: Any) -> None:
        if self._kind == "sync":
            await asyncio.to_thread(getattr(link, f"__{name}__"), *arguments)
        else:
            await getattr(link, f"__a{name}__")(*arguments)


def close_pipes(service: Service) -> None:
    """After a service's end: a pipe left to the garbage collector is a warning in whatever test runs then."""
    for pipe in (service.process.stdout, service.process.stderr):
        if pipe is not None:
            pipe.close()


async def take(receiver: Awaited, count: int = 1) -> list[Any]:
    """Exactly `count` messages; fails when they do not come soon."""
    messages: list[Any] = []
    while len(messages) < count:
        more = await receiver.receive_messages(count - len(messages), max_wait_time=SOON)
        assert more, f"{len(messages)} of {count} messages came within {SOON} s"
        messages += more
    return messages


async def nothing_comes(receiver: Awaited) -> bool:
    return not await receiver.receive_messages(1, max_wait_time=NEVER)
