"""Time to live: by container, by item, changed later, and the rows that must not stay behind."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import CosmosClient, PartitionKey

from tests.contract.cosmos.sdk import ACCOUNT_KEY, ENVIRONMENT, collect, done, status_of
from tests.services import running


async def gone(container: Any, identifier: str, within: float = 5) -> bool:
    """Whether the item disappears within so many seconds."""
    async with asyncio.timeout(within):
        while await status_of(lambda: container.read_item(identifier, "t")) != 404:  # noqa: ASYNC110 - only time tells
            await asyncio.sleep(0.1)
    return True


async def test_expired_items_are_invisible_to_everything(database: Any) -> None:
    container = await done(database.create_container("c", PartitionKey("/tenant"), default_ttl=1))
    await done(container.create_item({"id": "short", "tenant": "t"}))
    await done(container.create_item({"id": "long", "tenant": "t", "ttl": 1000}))
    await done(container.create_item({"id": "ever", "tenant": "t", "ttl": -1}))
    assert (await done(container.read_item("short", "t")))["id"] == "short"
    assert await gone(container, "short")
    found = await collect(container.query_items("SELECT VALUE c.id FROM c ORDER BY c.id", partition_key="t"))
    assert found == ["ever", "long"]
    assert await collect(container.query_items("SELECT VALUE COUNT(1) FROM c", partition_key="t")) == [2]
    assert await status_of(lambda: container.replace_item("short", {"id": "short", "tenant": "t"})) == 404
    assert await status_of(lambda: container.delete_item("short", "t")) == 404
    await done(container.create_item({"id": "short", "tenant": "t"}))


async def test_without_a_container_setting_an_items_ttl_is_ignored(database: Any) -> None:
    off = await done(database.create_container("off", PartitionKey("/tenant")))
    on = await done(database.create_container("on", PartitionKey("/tenant"), default_ttl=-1))
    for container in (off, on):
        await done(container.create_item({"id": "a", "tenant": "t", "ttl": 1}))
        await done(container.create_item({"id": "b", "tenant": "t"}))
    assert await gone(on, "a")
    for container, identifier in ((off, "a"), (off, "b"), (on, "b")):
        assert (await done(container.read_item(identifier, "t")))["id"] == identifier


async def test_a_write_starts_the_time_anew_and_may_change_it(container: Any) -> None:
    await done(container.create_item({"id": "a", "tenant": "t", "ttl": 1}))
    await done(container.create_item({"id": "b", "tenant": "t", "ttl": 1}))
    await done(container.patch_item("a", "t", [{"op": "set", "path": "/ttl", "value": 1000}]))
    assert await gone(container, "b")
    assert (await done(container.read_item("a", "t")))["ttl"] == 1000


async def test_a_new_default_applies_to_items_that_are_there(database: Any) -> None:
    container = await done(database.create_container("c", PartitionKey("/tenant")))
    for identifier, ttl in (("default", {}), ("long", {"ttl": 1000}), ("ever", {"ttl": -1})):
        await done(container.create_item({"id": identifier, "tenant": "t", **ttl}))
    await done(database.replace_container("c", PartitionKey("/tenant"), default_ttl=1))
    assert await gone(container, "default")
    found = await collect(container.query_items("SELECT VALUE c.id FROM c", partition_key="t"))
    assert found == ["ever", "long"]


@pytest.mark.parametrize("ttl", [0, -2, 1.5, "10", True, 2**31])
async def test_an_invalid_ttl_is_400(container: Any, ttl: Any) -> None:
    assert await status_of(lambda: container.create_item({"id": "a", "tenant": "t", "ttl": ttl})) == 400


async def test_expired_rows_leave_the_file(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    with running("cosmos", "--port", "0", "--data", str(file), env=ENVIRONMENT) as service:
        with CosmosClient(service.url, ACCOUNT_KEY) as client:
            database = client.create_database("d")
            container = database.create_container("c", PartitionKey("/tenant"), default_ttl=1)
            for n in range(10):
                container.create_item({"id": str(n), "tenant": "t", "ttl": 1000 if n == 0 else 1})
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as rows:
            async with asyncio.timeout(10):
                while rows.execute("SELECT COUNT(*) FROM items").fetchone() != (1,):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)
