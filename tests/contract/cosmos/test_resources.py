"""Databases, containers and their settings."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.contract.cosmos.sdk import ACCOUNT_KEY, collect, done, status_of
from tests.services import Service


async def test_databases_are_created_listed_queried_and_deleted(client: Any) -> None:
    name = f"db {uuid.uuid4().hex} ü"
    await done(client.create_database(name))
    assert await status_of(lambda: client.create_database(name)) == 409
    again = await done(client.create_database_if_not_exists(name))
    assert (await done(again.read()))["id"] == name
    assert name in [found["id"] for found in await collect(client.list_databases())]
    found = await collect(
        client.query_databases("SELECT * FROM root r WHERE r.id = @id", parameters=[{"name": "@id", "value": name}])
    )
    assert [database["id"] for database in found] == [name]
    await done(client.delete_database(name))
    assert await status_of(again.read) == 404
    assert await status_of(lambda: client.delete_database(name)) == 404


async def test_containers_keep_their_settings(database: Any) -> None:
    policy = {
        "indexingMode": "consistent",
        "automatic": True,
        "includedPaths": [{"path": "/*"}],
        "excludedPaths": [{"path": "/payload/*"}],
    }
    created = await done(
        database.create_container("c", PartitionKey("/tenant"), indexing_policy=policy, default_ttl=3600)
    )
    properties = await done(created.read())
    assert properties["partitionKey"] == {"paths": ["/tenant"], "kind": "Hash", "version": 2}
    assert properties["indexingPolicy"] == policy
    assert properties["defaultTtl"] == 3600
    assert await status_of(lambda: database.create_container("c", PartitionKey("/tenant"))) == 409
    again = await done(database.create_container_if_not_exists("c", PartitionKey("/tenant")))
    assert (await done(again.read()))["_rid"] == properties["_rid"]


async def test_containers_are_listed_queried_replaced_and_deleted(database: Any) -> None:
    for name in ("one", "two"):
        await done(database.create_container(name, PartitionKey("/tenant"), default_ttl=10))
    assert [found["id"] for found in await collect(database.list_containers())] == ["one", "two"]
    query = "SELECT VALUE r.id FROM root r WHERE r.id = 'two'"
    assert await collect(database.query_containers(query)) == ["two"]

    replaced = await done(database.replace_container("one", PartitionKey("/tenant"), default_ttl=20))
    assert (await done(replaced.read()))["defaultTtl"] == 20
    replaced = await done(database.replace_container("one", PartitionKey("/tenant")))
    assert "defaultTtl" not in await done(replaced.read())
    assert await status_of(lambda: database.replace_container("one", PartitionKey("/other"))) == 400

    await done(database.delete_container("one"))
    assert await status_of(replaced.read) == 404
    assert [found["id"] for found in await collect(database.list_containers())] == ["two"]


async def test_a_deleted_containers_items_do_not_come_back_in_its_successor(database: Any) -> None:
    first = await done(database.create_container("c", PartitionKey("/tenant")))
    await done(first.create_item({"id": "a", "tenant": "t"}))
    await done(database.delete_container("c"))
    second = await done(database.create_container("c", PartitionKey("/tenant")))
    assert await status_of(lambda: second.read_item("a", "t")) == 404


async def test_a_client_finds_a_container_that_another_client_created_anew(service: Service, database: Any) -> None:
    """The SDK sends the _rid it has cached; 400 with substatus 1024 makes it refresh and try again."""
    with CosmosClient(service.url, ACCOUNT_KEY) as other:
        elsewhere = other.get_database_client(database.id)
        stale = elsewhere.create_container("c", PartitionKey("/tenant"))
        stale.create_item({"id": "a", "tenant": "t"})
        await done(database.delete_container("c"))
        await done(database.create_container("c", PartitionKey("/tenant")))
        stale.create_item({"id": "a", "tenant": "t"})
        assert stale.read_item("a", "t")["id"] == "a"


async def test_operations_in_a_container_that_does_not_exist_are_404(database: Any) -> None:
    missing = database.get_container_client("missing")
    assert await status_of(missing.read) == 404
    assert await status_of(lambda: missing.read_item("a", "t")) == 404
    assert await status_of(lambda: missing.create_item({"id": "a", "tenant": "t"})) == 404


@pytest.mark.parametrize(
    "settings",
    [
        {"unique_key_policy": {"uniqueKeys": [{"paths": ["/email"]}]}},
        {"computed_properties": [{"name": "low", "query": "SELECT VALUE LOWER(c.a) FROM c"}]},
    ],
    ids=lambda settings: next(iter(settings)),
)
async def test_settings_that_would_be_ignored_are_refused(database: Any, settings: dict[str, Any]) -> None:
    with pytest.raises(CosmosHttpResponseError, match="not supported by this emulator") as caught:
        await done(database.create_container("c", PartitionKey("/tenant"), **settings))
    assert caught.value.status_code == 400


@pytest.mark.parametrize("name", ["a/b", "a?b", "a#b", ""])
async def test_an_invalid_container_name_is_refused(database: Any, name: str) -> None:
    with pytest.raises((CosmosHttpResponseError, ValueError)):
        await done(database.create_container(name, PartitionKey("/tenant")))
