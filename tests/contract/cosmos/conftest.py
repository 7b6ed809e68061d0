"""One emulator for the session, driven by the unmodified azure-cosmos SDK, by the sync and the async client."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.aio import CosmosClient as AsyncCosmosClient

from tests.contract.cosmos.sdk import ACCOUNT_KEY, ENVIRONMENT, done
from tests.services import Service, running


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    file = tmp_path_factory.mktemp("cosmos") / "data.db"
    with running("cosmos", "--port", "0", "--data", os.fspath(file), env=ENVIRONMENT) as service:
        yield service


@pytest.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, service: Service) -> AsyncIterator[Any]:
    """A client made from a connection string, endpoint discovery and all else at its default."""
    connection = f"AccountEndpoint={service.url}/;AccountKey={ACCOUNT_KEY};"
    if request.param == "sync":
        with CosmosClient.from_connection_string(connection) as client:
            yield client
    else:
        async with AsyncCosmosClient.from_connection_string(connection) as client:
            yield client


@pytest.fixture
async def database(client: Any) -> AsyncIterator[Any]:
    """A database of its own for every test."""
    name = f"db-{uuid.uuid4().hex[:12]}"
    yield await done(client.create_database(name))
    await done(client.delete_database(name))


@pytest.fixture
async def container(database: Any) -> Any:
    """A container partitioned by /tenant, TTL on without a default."""
    return await done(database.create_container("items", PartitionKey("/tenant"), default_ttl=-1))
