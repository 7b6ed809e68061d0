"""Partial updates."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from azure.cosmos import ContainerProxy, CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.contract.cosmos.sdk import ACCOUNT_KEY, done, status_of
from tests.services import Service

ITEM = {"id": "a", "tenant": "t", "n": 1, "tags": ["x", "y"], "nested": {"k": 1}, "a/b~c": 1}


@pytest.fixture(scope="module")
def sync_container(service: Service) -> Iterator[ContainerProxy]:
    """What an operation means is tested with one client alone: it is the server's matter."""
    with CosmosClient(service.url, ACCOUNT_KEY) as client:
        database = client.create_database("patches")
        yield database.create_container("items", PartitionKey("/tenant"))
        client.delete_database(database.id)


def operation(op: str, path: str, *value: Any) -> dict[str, Any]:
    return {"op": op, "path": path, **({"value": value[0]} if value else {})}


@pytest.mark.parametrize(
    ("operations", "expected"),
    [
        ([operation("add", "/new", 1)], {"new": 1}),
        ([operation("add", "/n", 9)], {"n": 9}),
        ([operation("add", "/tags/1", "z")], {"tags": ["x", "z", "y"]}),
        ([operation("add", "/tags/-", "z")], {"tags": ["x", "y", "z"]}),
        ([operation("set", "/tags/0", "z")], {"tags": ["z", "y"]}),
        ([operation("set", "/nested/other", None)], {"nested": {"k": 1, "other": None}}),
        ([operation("replace", "/nested/k", [1])], {"nested": {"k": [1]}}),
        ([operation("remove", "/tags/0"), operation("remove", "/nested")], {"tags": ["y"], "nested": None}),
        ([operation("incr", "/n", 2.5)], {"n": 3.5}),
        ([operation("incr", "/missing", -3)], {"missing": -3}),
        ([operation("set", "/a~1b~0c", 2)], {"a/b~c": 2}),
        ([{"op": "move", "from": "/nested/k", "path": "/moved"}], {"nested": {}, "moved": 1}),
        ([{"op": "move", "from": "/tags/0", "path": "/tags/1"}], {"tags": ["y", "x"]}),
    ],
    ids=lambda value: str(value) if isinstance(value, list) else "",
)
def test_operations(sync_container: ContainerProxy, operations: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    before = sync_container.upsert_item(ITEM)
    patched = sync_container.patch_item("a", "t", operations)
    assert {name: patched.get(name) for name in expected} == expected
    assert patched == sync_container.read_item("a", "t")
    assert patched["_etag"] != before["_etag"]
    assert patched["_rid"] == before["_rid"]


@pytest.mark.parametrize(
    "operations",
    [
        [operation("replace", "/missing", 1)],
        [operation("remove", "/missing")],
        [operation("add", "/missing/deep", 1)],
        [operation("add", "/tags/3", 1)],
        [operation("set", "/tags/first", 1)],
        [operation("incr", "/tags", 1)],
        [operation("incr", "/n", "1")],
        [operation("incr", "/n", 1e308), operation("incr", "/n", 1e308)],
        [operation("set", "/n")],
        [operation("set", "/id", "b")],
        [operation("set", "/tenant", "other")],
        [operation("set", "/_etag", "x")],
        [{"op": "move", "from": "/missing", "path": "/x"}],
        [{"op": "move", "from": "/nested", "path": "/nested/k"}],
        [operation("multiply", "/n", 2)],
        [operation("set", "n", 2)],
        [operation("incr", "/n", 1)] * 11,
        [],
    ],
    ids=str,
)
def test_a_patch_that_cannot_be_done_is_400_and_changes_nothing(
    sync_container: ContainerProxy, operations: list[dict[str, Any]]
) -> None:
    before = sync_container.upsert_item(ITEM)
    with pytest.raises(CosmosHttpResponseError) as caught:
        sync_container.patch_item("a", "t", operations)
    assert caught.value.status_code == 400
    assert sync_container.read_item("a", "t") == before


async def test_the_filter_predicate_decides(container: Any) -> None:
    await done(container.create_item(ITEM))
    change = [operation("set", "/n", 2)]
    assert (
        await status_of(lambda: container.patch_item("a", "t", change, filter_predicate="FROM c WHERE c.n > 1")) == 412
    )
    patched = await done(
        container.patch_item("a", "t", change, filter_predicate="from c where c.n = 1 and c.tags[0]='x'")
    )
    assert patched["n"] == 2
    with pytest.raises(CosmosHttpResponseError, match="Syntax error"):
        await done(container.patch_item("a", "t", change, filter_predicate="FROM c WHERE c.n >"))


async def test_a_missing_item_is_404(container: Any) -> None:
    assert await status_of(lambda: container.patch_item("a", "t", [operation("set", "/n", 1)])) == 404


async def test_ten_operations_apply_in_order_and_no_response_is_honoured(container: Any) -> None:
    await done(container.create_item(ITEM))
    operations = [operation("add", "/tags/-", n) for n in range(10)]
    assert dict(await done(container.patch_item("a", "t", operations, no_response=True))) == {}
    assert (await done(container.read_item("a", "t")))["tags"] == ["x", "y", *range(10)]
