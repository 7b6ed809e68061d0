"""Entity group transactions: up to 100 operations on one partition, all of them or none."""

from __future__ import annotations

from typing import Any

import pytest
from azure.core import MatchConditions
from azure.data.tables import TableTransactionError, UpdateMode

from tests.contract.tables.sdk import collect, done, status_of


def entity(row: str, **properties: Any) -> dict[str, Any]:
    return {"PartitionKey": "p", "RowKey": row, **properties}


async def test_a_hundred_operations_of_every_kind(table: Any) -> None:
    etag = (await done(table.create_entity(entity("guarded", n=1))))["etag"]
    await done(table.create_entity(entity("doomed")))
    operations = [
        ("create", entity("created")),
        ("upsert", entity("upserted", n=1), {"mode": UpdateMode.REPLACE}),
        ("update", entity("guarded", n=2), {"etag": etag, "match_condition": MatchConditions.IfNotModified}),
        ("delete", entity("doomed")),
        *[("create", entity(f"row{n:03}")) for n in range(96)],
    ]
    results = await done(table.submit_transaction(operations))
    assert len(results) == 100
    rows = [found["RowKey"] for found in await collect(table.query_entities("PartitionKey eq 'p'"))]
    assert rows == ["created", "guarded", *[f"row{n:03}" for n in range(96)], "upserted"]
    found = await done(table.get_entity("p", "guarded"))
    assert found["n"] == 2
    assert results[2]["etag"] == found.metadata["etag"]


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        (("create", entity("there")), 409),
        (("update", entity("missing")), 404),
        (("update", entity("there"), {"etag": "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""}), 412),
        (("delete", entity("there"), {"etag": "W/\"datetime'2020-01-01T00%3A00%3A00.0000000Z'\""}), 412),
    ],
    ids=["create", "update", "update by etag", "delete by etag"],
)
async def test_one_failure_undoes_all_and_is_named_by_its_index(table: Any, failing: Any, status: int) -> None:
    await done(table.create_entity(entity("there", n=1)))
    name, content, *options = failing
    conditions = [{**option, "match_condition": MatchConditions.IfNotModified} for option in options]
    operations = [
        *[("create", entity(f"row{n}")) for n in range(5)],
        (name, content, *conditions),
        ("create", entity("late")),
    ]
    with pytest.raises(TableTransactionError) as caught:
        await done(table.submit_transaction(operations))
    assert (caught.value.status_code, caught.value.index) == (status, 5)
    rows = await collect(table.query_entities("PartitionKey eq 'p'"))
    assert [(row["RowKey"], row["n"]) for row in rows] == [("there", 1)]


async def test_one_row_twice_in_a_transaction_is_400(table: Any) -> None:
    twice = [("create", entity("r")), ("upsert", entity("r"))]
    assert await status_of(lambda: table.submit_transaction(twice)) == 400
    assert await collect(table.query_entities("PartitionKey eq 'p'")) == []
