"""The connection to Table Storage that all tables share: clients, queries, and errors in the ports' terms."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from typing import Any, TypeVar

from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import TableTransactionError
from azure.data.tables.aio import TableClient, TableServiceClient

from shared.azure.connecting import credential, proxies_configured
from shared.config import Connection
from shared.service.ports import TransientError

T = TypeVar("T")

#: Every table of the app; each is made when the first call finds that it is not there.
TABLES = ("jobs", "jobhours", "idempotencykeys", "records")


class TableConnection:
    """The clients of a process, made at the first call, in the loop that makes it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._service: TableServiceClient | None = None
        self._clients: dict[str, TableClient] = {}
        self._tables_exist = False

    async def query(
        self,
        table: str,
        query: str,
        parameters: Mapping[str, Any],
        select: list[str] | None = None,
        limit: int | None = None,
    ) -> list[Any]:
        """The entities that meet an OData filter, up to `limit`. Raises TransientError."""

        async def read() -> list[Any]:
            # A page may come back short of what was asked, with more to follow.
            pages: AsyncIterable[Any] = self.table(table).query_entities(
                query, parameters=dict(parameters), select=select, results_per_page=limit
            )
            rows: list[Any] = []
            async for row in pages:
                rows.append(row)
                if limit is not None and len(rows) >= limit:
                    break
            return rows

        return await self.call(read)

    def table(self, name: str) -> TableClient:
        """The client of one of TABLES."""
        if name not in self._clients:
            self._clients[name] = self._table_service().get_table_client(name)
        return self._clients[name]

    def _table_service(self) -> TableServiceClient:
        if self._service is None:
            # Few and quick tries: a caller waits, and the layers above know what to do when the table is away.
            options: dict[str, Any] = {
                "retry_total": 3,
                "retry_backoff_factor": 0.3,
                "connection_timeout": 5,
                "read_timeout": 20,
                "use_env_settings": proxies_configured(),
            }
            connection = self._connection
            if connection.endpoint:
                self._service = TableServiceClient(
                    connection.endpoint, credential=credential(connection.client_id), **options
                )
            else:
                self._service = TableServiceClient.from_connection_string(connection.connection_string, **options)
        return self._service

    async def call(self, operation: Callable[[], Awaitable[T]], *, inserts: bool = False) -> T:
        """Do it; make the tables first when they are not there; say TransientError for what may pass.

        A 404 may mean the table or the row, and the SDK does not always say which; an insert can only miss the table.
        """
        try:
            try:
                return await operation()
            except ResourceNotFoundError:
                if self._tables_exist and not inserts:
                    raise
                await self._create_tables()
                return await operation()
        except (ResourceExistsError, ResourceModifiedError, ResourceNotFoundError, TableTransactionError):
            raise
        except HttpResponseError as exc:
            raise TransientError(f"Table Storage answered {exc.status_code}: {exc.reason}") from exc
        except AzureError as exc:
            raise TransientError(f"Table Storage cannot be reached: {exc}", unknown_outcome=True) from exc

    async def _create_tables(self) -> None:
        await asyncio.gather(*(self._table_service().create_table_if_not_exists(name) for name in TABLES))
        self._tables_exist = True

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.close()
        if self._service is not None:
            await self._service.close()
