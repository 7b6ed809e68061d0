"""Transactional batch: all operations or none."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosHttpResponseError

from tests.contract.cosmos.sdk import collect, done, status_of


def item(identifier: str, **properties: Any) -> dict[str, Any]:
    return {"id": identifier, "tenant": "t", **properties}


async def test_every_kind_of_operation_in_one_batch(container: Any) -> None:
    results = await done(
        container.execute_item_batch(
            [
                ("create", (item("a", n=1),)),
                ("upsert", (item("b", n=1),)),
                ("read", ("a",)),
                ("replace", ("b", item("b", n=2))),
                (
                    "patch",
                    ("b", [{"op": "incr", "path": "/n", "value": 5}]),
                    {"filter_predicate": "from c where c.n = 2"},
                ),
                ("delete", ("a",)),
            ],
            "t",
        )
    )
    assert [result["statusCode"] for result in results] == [201, 201, 200, 200, 200, 204]
    assert results[2]["resourceBody"]["n"] == 1
    assert results[4]["eTag"] == results[4]["resourceBody"]["_etag"]
    assert (await done(container.read_item("b", "t")))["n"] == 7
    assert await status_of(lambda: container.read_item("a", "t")) == 404


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        (("create", (item("there"),)), 409),
        (("read", ("missing",)), 404),
        (("replace", ("missing", item("missing"))), 404),
        (("delete", ("missing",)), 404),
        (("upsert", (item("there"),), {"if_match_etag": '"old"'}), 412),
        (("delete", ("there",), {"if_match_etag": '"old"'}), 412),
        (
            ("patch", ("there", [{"op": "set", "path": "/n", "value": 0}]), {"filter_predicate": "from c where false"}),
            412,
        ),
        (("create", ({"id": "x", "tenant": "other"},)), 400),
        (("create", (item("x", text="x" * 100, ttl=0),)), 400),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else str(value),
)
async def test_one_failure_undoes_all(container: Any, failing: Any, status: int) -> None:
    there = await done(container.create_item(item("there", n=1)))
    failing = copy.deepcopy(failing)  # the SDK takes the conditions out of the tuple
    operations = [("create", (item("new"),)), ("upsert", (item("there", n=2),)), failing, ("create", (item("late"),))]
    with pytest.raises(CosmosBatchOperationError) as caught:
        await done(container.execute_item_batch(operations, "t"))
    assert caught.value.error_index == 2
    statuses = [entry["statusCode"] for entry in caught.value.operation_responses]
    assert statuses == [424, 424, status, 424]
    assert await collect(container.query_items("SELECT * FROM c", partition_key="t")) == [there]


async def test_a_hundred_operations_are_allowed_and_no_more(container: Any) -> None:
    hundred = [("create", (item(f"i{n}"),)) for n in range(100)]
    results = await done(container.execute_item_batch(hundred, "t"))
    assert len(results) == 100
    with pytest.raises(CosmosHttpResponseError) as caught:
        await done(container.execute_item_batch([("read", (f"i{n}",)) for n in [*range(100), 0]], "t"))
    assert caught.value.status_code == 400


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_batch_of_more_than_2_mb_is_413(container: Any) -> None:
    large = [("create", (item(f"i{n}", text="x" * 500_000),)) for n in range(5)]
    assert await status_of(lambda: container.execute_item_batch(large, "t")) == 413
    assert await collect(container.query_items("SELECT * FROM c", partition_key="t")) == []


async def test_etags_guard_entries_of_a_batch(container: Any) -> None:
    etag = (await done(container.create_item(item("a", n=1))))["_etag"]
    await done(container.execute_item_batch([("replace", ("a", item("a", n=2)), {"if_match_etag": etag})], "t"))
    assert (await done(container.read_item("a", "t")))["n"] == 2
