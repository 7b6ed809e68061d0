"""Point operations: create, read, upsert, replace, delete, ETag conditions, keys and limits."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from tests.contract.cosmos.sdk import collect, done, status_of

UNCHANGED = MatchConditions.IfNotModified


async def test_an_item_is_created_read_and_deleted(container: Any) -> None:
    before = int(time.time())
    created = await done(container.create_item({"id": "a", "tenant": "t", "n": 1, "nested": {"x": [1, None, "ü"]}}))
    assert {"_rid", "_self", "_etag", "_attachments", "_ts"} <= created.keys()
    assert before <= created["_ts"] <= time.time()
    assert await done(container.read_item("a", "t")) == created
    await done(container.delete_item("a", "t"))
    with pytest.raises(CosmosResourceNotFoundError):
        await done(container.read_item("a", "t"))
    with pytest.raises(CosmosResourceNotFoundError):
        await done(container.delete_item("a", "t"))


async def test_an_id_is_unique_within_its_partition(container: Any) -> None:
    await done(container.create_item({"id": "a", "tenant": "t1", "n": 1}))
    with pytest.raises(CosmosResourceExistsError):
        await done(container.create_item({"id": "a", "tenant": "t1", "n": 2}))
    await done(container.create_item({"id": "a", "tenant": "t2", "n": 3}))
    assert (await done(container.read_item("a", "t1")))["n"] == 1
    assert (await done(container.read_item("a", "t2")))["n"] == 3


async def test_upsert_inserts_then_replaces(container: Any) -> None:
    first = await done(container.upsert_item({"id": "a", "tenant": "t", "n": 1, "gone": True}))
    second = await done(container.upsert_item({"id": "a", "tenant": "t", "n": 2}))
    assert second["_rid"] == first["_rid"]
    assert second["_etag"] != first["_etag"]
    read = await done(container.read_item("a", "t"))
    assert read["n"] == 2
    assert "gone" not in read


async def test_replace_needs_an_item(container: Any) -> None:
    with pytest.raises(CosmosResourceNotFoundError):
        await done(container.replace_item("a", {"id": "a", "tenant": "t"}))
    await done(container.create_item({"id": "a", "tenant": "t"}))
    replaced = await done(container.replace_item("a", {"id": "a", "tenant": "t", "n": 5}))
    assert replaced["n"] == 5
    assert await status_of(lambda: container.replace_item("a", {"id": "b", "tenant": "t"})) == 400


@pytest.mark.parametrize("operation", ["replace", "upsert", "delete", "patch"])
async def test_a_write_on_an_old_etag_is_412_and_changes_nothing(container: Any, operation: str) -> None:
    item = {"id": "a", "tenant": "t", "n": 1}
    old = (await done(container.create_item(item)))["_etag"]
    current = await done(container.replace_item("a", {**item, "n": 2}, etag=old, match_condition=UNCHANGED))
    calls = {
        "replace": lambda tag: container.replace_item("a", {**item, "n": 3}, etag=tag, match_condition=UNCHANGED),
        "upsert": lambda tag: container.upsert_item({**item, "n": 3}, etag=tag, match_condition=UNCHANGED),
        "delete": lambda tag: container.delete_item("a", "t", etag=tag, match_condition=UNCHANGED),
        "patch": lambda tag: container.patch_item(
            "a", "t", [{"op": "set", "path": "/n", "value": 3}], etag=tag, match_condition=UNCHANGED
        ),
    }
    with pytest.raises(CosmosAccessConditionFailedError):
        await done(calls[operation](old))
    assert await done(container.read_item("a", "t")) == current
    await done(calls[operation](current["_etag"]))


async def test_upsert_if_missing_is_412_on_an_existing_item(container: Any) -> None:
    item = {"id": "a", "tenant": "t"}
    await done(container.upsert_item(item, match_condition=MatchConditions.IfMissing))
    with pytest.raises(CosmosAccessConditionFailedError):
        await done(container.upsert_item(item, match_condition=MatchConditions.IfMissing))


async def test_of_concurrent_writers_on_one_etag_exactly_one_wins(container: Any) -> None:
    etag = (await done(container.create_item({"id": "a", "tenant": "t"})))["_etag"]

    async def write(n: int) -> int:
        item = {"id": "a", "tenant": "t", "n": n}
        return await status_of(lambda: container.replace_item("a", item, etag=etag, match_condition=UNCHANGED))

    assert sorted(await asyncio.gather(*(write(n) for n in range(8)))) == [0, *[412] * 7]


async def test_no_response_saves_the_body_only(container: Any) -> None:
    item = {"id": "a", "tenant": "t", "n": 1}
    created = await done(container.create_item(item, no_response=True))
    assert dict(created) == {}
    assert created.get_response_headers()["etag"] == (await done(container.read_item("a", "t")))["_etag"]
    assert dict(await done(container.upsert_item({**item, "n": 2}, no_response=True))) == {}
    assert dict(await done(container.replace_item("a", {**item, "n": 3}, no_response=True))) == {}
    assert (await done(container.read_item("a", "t")))["n"] == 3


async def test_replies_carry_charge_and_session_token(container: Any) -> None:
    written = await done(container.create_item({"id": "a", "tenant": "t"}))
    headers = written.get_response_headers()
    assert float(headers["x-ms-request-charge"]) > 1
    assert headers["x-ms-session-token"].startswith("0:")
    read = await done(container.read_item("a", "t"))
    assert float(read.get_response_headers()["x-ms-request-charge"]) >= 1


@pytest.mark.parametrize("identifier", ["a b", "a+b%20c", "ü€😀", "it's;=@:,()&", "x" * 255, "0190a8b2-7c3d.json"])
async def test_odd_ids_and_partition_keys_work(container: Any, identifier: str) -> None:
    await done(container.create_item({"id": identifier, "tenant": identifier, "n": 1}))
    assert (await done(container.read_item(identifier, identifier)))["id"] == identifier
    await done(container.patch_item(identifier, identifier, [{"op": "incr", "path": "/n", "value": 1}]))
    found = await collect(container.query_items("SELECT VALUE c.n FROM c", partition_key=identifier))
    assert found == [2]
    await done(container.delete_item(identifier, identifier))


@pytest.mark.parametrize("key", ["t", 5, 1.5, True, None], ids=repr)
async def test_partition_keys_of_every_type(container: Any, key: Any) -> None:
    await done(container.create_item({"id": "a", "tenant": key, "n": 1}))
    await done(container.create_item({"id": "a", "tenant": "other", "n": 2}))
    assert (await done(container.read_item("a", key)))["n"] == 1


async def test_an_item_without_its_partition_key_property(container: Any) -> None:
    from azure.cosmos.partition_key import NonePartitionKeyValue

    await done(container.create_item({"id": "a", "n": 1}))
    assert (await done(container.read_item("a", NonePartitionKeyValue)))["n"] == 1
    assert await status_of(lambda: container.read_item("a", None)) == 404


async def test_hierarchical_partition_keys(database: Any) -> None:
    container = await done(database.create_container("h", PartitionKey(["/tenant", "/user"], kind="MultiHash")))
    for user in ("u1", "u2"):
        await done(container.create_item({"id": "a", "tenant": "t", "user": user}))
    assert (await done(container.read_item("a", ["t", "u2"])))["user"] == "u2"
    found = await collect(container.query_items("SELECT VALUE c.user FROM c", partition_key=["t", "u1"]))
    assert found == ["u1"]
    with pytest.raises(CosmosHttpResponseError, match="not supported by this emulator"):
        await collect(container.query_items("SELECT * FROM c", partition_key=["t"]))


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_an_item_of_2_mb_fits_and_a_larger_one_is_413(container: Any) -> None:
    item = {"id": "a", "tenant": "t", "text": "x" * (2 * 1024 * 1024 - 600)}
    await done(container.create_item(item))
    assert len((await done(container.read_item("a", "t")))["text"]) == len(item["text"])
    assert await status_of(lambda: container.upsert_item({**item, "text": "x" * 2 * 1024 * 1024})) == 413
    assert await status_of(lambda: container.upsert_item({**item, "text": "x" * 9 * 1024 * 1024})) == 413


async def test_read_items_reads_many(container: Any) -> None:
    for n in range(20):
        await done(container.create_item({"id": f"i{n}", "tenant": f"t{n % 3}"}))
    wanted = [("i1", "t1"), ("i5", "t2"), ("i6", "t0"), ("missing", "t0"), ("i7", "t0")]
    found = await done(container.read_items(wanted))
    assert sorted(item["id"] for item in found) == ["i1", "i5", "i6"]


async def test_read_all_items_crosses_partitions(container: Any) -> None:
    for n in range(7):
        await done(container.create_item({"id": f"i{n}", "tenant": f"t{n}"}))
    found = await collect(container.read_all_items(max_item_count=3))
    assert sorted(item["id"] for item in found) == [f"i{n}" for n in range(7)]


async def test_the_change_feed_is_refused_by_name(container: Any) -> None:
    with pytest.raises(CosmosHttpResponseError, match="change feed is not supported by this emulator"):
        await collect(container.query_items_change_feed(start_time="Beginning"))
