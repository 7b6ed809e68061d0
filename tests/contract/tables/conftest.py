"""One Azurite for the session, driven by the unmodified azure-data-tables SDK, by the sync and the async client."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from azure.data.tables import TableServiceClient
from azure.data.tables.aio import TableServiceClient as AsyncTableServiceClient

from tests.contract.tables.azurite import Azurite, start_azurite
from tests.contract.tables.sdk import done


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    azurite = start_azurite(tmp_path_factory.mktemp("azurite"))
    yield azurite
    azurite.stop()


@pytest.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, azurite: Azurite) -> AsyncIterator[Any]:
    if request.param == "sync":
        with TableServiceClient.from_connection_string(azurite.connection_string) as client:
            yield client
    else:
        async with AsyncTableServiceClient.from_connection_string(azurite.connection_string) as client:
            yield client


@pytest.fixture
async def table(client: Any) -> AsyncIterator[Any]:
    """A table of its own for every test."""
    name = f"t{uuid.uuid4().hex}"
    yield await done(client.create_table(name))
    await done(client.delete_table(name))
