"""Jobs' results in Cosmos DB: one document a job, in the partition of its status row, gone after its time to live."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from shared.azure.connecting import credential, proxies_configured
from shared.config import Connection
from shared.jobs.ids import partition_key
from shared.jobs.model import Job, ResultDocument
from shared.jobs.states import stands
from shared.service.ports import PreconditionFailedError, TransientError

T = TypeVar("T")

CONTAINER = "results"

#: What is long and never searched for is not indexed: a write costs about half then.
INDEXING_POLICY: dict[str, Any] = {
    "indexingMode": "consistent",
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [
        {"path": "/result/*"},
        {"path": "/job/payload/*"},
        {"path": "/job/timeline/*"},
        {"path": '/"_etag"/?'},
    ],
}


class CosmosResultStore:
    """`ResultStore` over azure-cosmos. The client is made at the first call, in the loop that makes it."""

    def __init__(self, connection: Connection, database: str, ttl_days: int) -> None:
        self._connection = connection
        self._database = database
        self._ttl_seconds = ttl_days * 24 * 3600
        self._client: CosmosClient | None = None
        self._container: ContainerProxy | None = None
        self._creating = asyncio.Lock()
        self._container_exists = False

    async def put(self, document: ResultDocument) -> None:
        """See ResultStore. One call, unless the job has a document already (a replay, or an attempt that died)."""
        body = self._body(document)
        while True:
            try:
                await self._call(lambda: self._results().create_item(body, no_response=True))
            except CosmosResourceExistsError:
                if not await self._replace(document.job, body):
                    continue
            return

    async def get(self, tenant: str, job_id: str) -> ResultDocument | None:
        """See ResultStore."""
        stored = await self._read(tenant, job_id)
        return None if stored is None else msgspec.convert(stored, ResultDocument)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    def _body(self, document: ResultDocument) -> dict[str, Any]:
        job = document.job
        body: dict[str, Any] = msgspec.to_builtins(document)
        return {
            "id": job.job_id,
            "pk": partition_key(job.tenant, job.job_id),
            "ttl": self._ttl_seconds,
            **body,
        }

    async def _read(self, tenant: str, job_id: str) -> dict[str, Any] | None:
        try:
            return await self._call(lambda: self._results().read_item(job_id, partition_key(tenant, job_id)))
        except CosmosResourceNotFoundError:
            return None

    async def _replace(self, job: Job, body: dict[str, Any]) -> bool:
        """Write over an earlier claim's document. False when it went or changed meanwhile: begin anew."""
        stored = await self._read(job.tenant, job.job_id)
        if stored is None:
            return False
        theirs = msgspec.convert(stored["job"], Job)
        if theirs == job:
            return True  # our own, from a call whose answer was lost
        if stands(theirs, job):
            raise PreconditionFailedError(f"job {job.job_id} has a result of claim {theirs.fence}, ours is {job.fence}")
        try:
            await self._call(
                lambda: self._results().replace_item(
                    job.job_id,
                    body,
                    etag=stored["_etag"],
                    match_condition=MatchConditions.IfNotModified,
                    no_response=True,
                )
            )
        except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
            return False
        return True

    def _results(self) -> ContainerProxy:
        if self._container is None:
            connection = self._connection
            transport = AioHttpTransport(use_env_settings=proxies_configured())
            if connection.endpoint:
                identity = credential(connection.client_id)
                self._client = CosmosClient(connection.endpoint, credential=identity, transport=transport)
            else:
                self._client = CosmosClient.from_connection_string(connection.connection_string, transport=transport)
            self._container = self._client.get_database_client(self._database).get_container_client(CONTAINER)
        return self._container

    async def _call(self, operation: Callable[[], Awaitable[T]]) -> T:
        """Do it; make the container first when it is not there; say TransientError for what may pass."""
        try:
            try:
                return await operation()
            except CosmosResourceNotFoundError:
                if self._container_exists:
                    raise
                await self._ensure_container()
                return await operation()
        except (CosmosResourceExistsError, CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            raise
        except CosmosHttpResponseError as exc:
            raise TransientError(f"Cosmos DB answered {exc.status_code}: {exc.http_error_message}") from exc
        except AzureError as exc:
            raise TransientError(f"Cosmos DB cannot be reached: {exc}", unknown_outcome=True) from exc

    async def _ensure_container(self) -> None:
        """Make the container unless it is there: a 404 may have meant it, not the item.

        In Azure the template makes it, and the app's identity could not. Locally the first job does.
        """
        async with self._creating:
            try:
                await self._results().read()
            except CosmosResourceNotFoundError:
                await self._create_container()
            self._container_exists = True

    async def _create_container(self) -> None:
        if self._client is None:
            raise RuntimeError("the container is created by the client that missed it")
        database = await self._client.create_database_if_not_exists(self._database)
        await database.create_container_if_not_exists(
            CONTAINER, partition_key=PartitionKey("/pk"), default_ttl=-1, indexing_policy=INDEXING_POLICY
        )
