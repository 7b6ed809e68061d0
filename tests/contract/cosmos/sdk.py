"""What lets one test drive the sync and the async client of azure-cosmos."""

from __future__ import annotations

import inspect
from typing import Any

from azure.cosmos import ContainerProxy
from azure.cosmos.aio import ContainerProxy as AsyncContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

#: Any base64 text does: the emulator takes the key that it is started with.
ACCOUNT_KEY = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw=="
ENVIRONMENT = {"COSMOS_KEY": ACCOUNT_KEY}
#: How each client is asked for a query on all partitions: the asynchronous one does so without being told.
ACROSS_PARTITIONS: dict[type, dict[str, Any]] = {
    ContainerProxy: {"enable_cross_partition_query": True},
    AsyncContainerProxy: {},
}


async def done(result: Any) -> Any:
    """The result of a call, whichever client made it."""
    return await result if inspect.isawaitable(result) else result


async def collect(pages: Any) -> list[Any]:
    """All elements of an ItemPaged or AsyncItemPaged."""
    return [item async for item in pages] if hasattr(pages, "__aiter__") else list(pages)


async def status_of(call: Any) -> int:
    """The status of the error that `call()` raises; 0 when it raises none."""
    try:
        await done(call())
    except CosmosHttpResponseError as error:
        return int(error.status_code or -1)
    return 0
