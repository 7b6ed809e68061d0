"""The queues themselves: how much they hold, and whether they deliver, by the broker's administration API (HTTP)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport
from azure.servicebus.exceptions import ServiceBusError

from shared.azure.connecting import credential, proxies_configured
from shared.azure.servicebus import DEAD_QUEUE, PATIENCE_SECONDS, POISON_QUEUE, QUEUES
from shared.config import Connection
from shared.jobs.model import Priority
from shared.service.ports import QueueCounts, TransientError

if TYPE_CHECKING:
    from azure.servicebus.aio.management import ServiceBusAdministrationClient

_NAMES = (*QUEUES.values(), DEAD_QUEUE, POISON_QUEUE)
_EMULATOR = "usedevelopmentemulator=true"


class ServiceBusQueueAdmin:
    """`QueueAdmin` over azure-servicebus' administration client. The app's identity needs the right to manage."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._made: ServiceBusAdministrationClient | None = None

    async def counts(self) -> Mapping[str, QueueCounts]:
        """See QueueAdmin. A call a queue, side by side: 60 of the 1,000 credits a second that a namespace has."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return dict(await asyncio.gather(*map(self._count, _NAMES)))
        except (AzureError, ServiceBusError, TimeoutError) as exc:
            raise TransientError(f"Service Bus does not tell what its queues hold: {exc!r}") from exc

    async def set_receiving(self, priority: Priority, receiving: bool) -> None:
        """See QueueAdmin. A status that somebody else set (Disabled, SendDisabled) stays."""
        from azure.servicebus.management import EntityStatus  # noqa: PLC0415 - as the client's own

        held, free = EntityStatus.RECEIVE_DISABLED, EntityStatus.ACTIVE
        before, after = (held, free) if receiving else (free, held)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                queue = await self._client().get_queue(QUEUES[priority])
                if queue.status == before:
                    await self._client().update_queue(queue, status=after)
        except (AzureError, ServiceBusError, TimeoutError) as exc:
            raise TransientError(
                f"Service Bus did not change the queue's status: {exc!r}", unknown_outcome=True
            ) from exc

    async def close(self) -> None:
        """Close the connections."""
        if self._made is not None:
            await self._made.close()

    async def _count(self, name: str) -> tuple[str, QueueCounts]:
        found = await self._client().get_queue_runtime_properties(name)
        counts = QueueCounts(active=found.active_message_count or 0, scheduled=found.scheduled_message_count or 0)
        return name.removeprefix("jobs-"), counts

    def _client(self) -> ServiceBusAdministrationClient:
        if self._made is None:
            # 100 ms of a cold start that most processes never need.
            from azure.servicebus.aio.management import ServiceBusAdministrationClient  # noqa: PLC0415

            options: dict[str, Any] = {"retry_total": 2, "retry_backoff_factor": 0.2}
            text = self._connection.connection_string
            if self._connection.endpoint:
                identity = credential(self._connection.client_id)
                self._made = ServiceBusAdministrationClient(
                    self._connection.endpoint, identity, transport=_transport(AioHttpTransport), **options
                )
            else:
                kind = _PlainHttp if _EMULATOR in text.replace(" ", "").lower() else AioHttpTransport
                self._made = ServiceBusAdministrationClient.from_connection_string(
                    text, transport=_transport(kind), **options
                )
        return self._made


class _PlainHttp(AioHttpTransport):  # type: ignore[misc]  # azure-core exports it lazily
    """Takes the client, which asks for https even with UseDevelopmentEmulator=true, to an emulator's http."""

    async def send(self, request: Any, **options: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return await super().send(request, **options)


def _transport(kind: type[AioHttpTransport]) -> AioHttpTransport:
    return kind(use_env_settings=proxies_configured(), connection_timeout=5, read_timeout=PATIENCE_SECONDS)
