"""Queries of a partition: ranges of row keys, newest first by inverted keys, filters, pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.tables.sdk import collect, done

ROWS = 30


def inverted(n: int) -> str:
    """A row key that sorts the latest first."""
    return f"{0xFFFF - n:04x}"


@pytest.fixture
async def filled(table: Any) -> Any:
    """Rows of partition p, n from 0 to 29, newest (largest n) first by key; one row in the partition after it."""
    rows = [
        {"PartitionKey": "p", "RowKey": inverted(n), "n": n, "state": "odd" if n % 2 else "even"} for n in range(ROWS)
    ]
    await done(table.submit_transaction([("create", row) for row in rows]))
    await done(table.create_entity({"PartitionKey": "p2", "RowKey": inverted(99), "n": 99, "state": "odd"}))
    return table


async def numbers(paged: Any) -> list[int]:
    return [row["n"] for row in await collect(paged)]


async def test_a_partition_reads_newest_first(filled: Any) -> None:
    assert await numbers(filled.query_entities("PartitionKey eq 'p'")) == list(range(ROWS - 1, -1, -1))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("RowKey ge @low and RowKey lt @high", [19, 18, 17, 16, 15, 14, 13, 12, 11]),
        ("RowKey gt @low and RowKey le @high", [18, 17, 16, 15, 14, 13, 12, 11, 10]),
        ("RowKey gt @high and n ge 5", [9, 8, 7, 6, 5]),
        ("RowKey gt @high and not (n ge 5)", [4, 3, 2, 1, 0]),
        ("RowKey gt @high and state eq 'odd'", [9, 7, 5, 3, 1]),
        ("RowKey gt @high and (n eq 1 or n eq 2) and state ne 'even'", [1]),
        ("RowKey eq @low", [19]),
    ],
)
async def test_ranges_and_filters(filled: Any, condition: str, expected: list[int]) -> None:
    found = filled.query_entities(
        f"PartitionKey eq @p and {condition}", parameters={"p": "p", "low": inverted(19), "high": inverted(10)}
    )
    assert await numbers(found) == expected


async def test_a_selection_of_properties(filled: Any) -> None:
    found = await collect(filled.query_entities(f"PartitionKey eq 'p' and RowKey eq '{inverted(3)}'", select=["n"]))
    assert [dict(row) for row in found] == [{"n": 3}]


async def page(paged: Any, token: Any = None) -> tuple[list[int], Any]:
    """The numbers of the page at `token`, and the token of the one after it."""
    by_page = paged.by_page(token)
    rows = await collect(await anext(by_page) if hasattr(by_page, "__anext__") else next(by_page))
    return [row["n"] for row in rows], by_page.continuation_token


async def test_pages_continue_by_token_even_when_rows_come_and_go(filled: Any) -> None:
    def query() -> Any:
        return filled.query_entities("PartitionKey eq 'p'", results_per_page=10)

    first, token = await page(query())
    assert first == list(range(29, 19, -1))
    assert set(token) == {"PartitionKey", "RowKey"}
    await done(filled.delete_entity("p", inverted(19)))
    await done(filled.create_entity({"PartitionKey": "p", "RowKey": inverted(40), "n": 40}))
    second, token = await page(query(), token)
    assert second == list(range(18, 8, -1))
    third, token = await page(query(), token)
    assert third == list(range(8, -1, -1))
    assert token is None


async def test_parameters_are_quoted(table: Any) -> None:
    name = "it's 100% 'odd' & more"
    await done(table.create_entity({"PartitionKey": name, "RowKey": "r", "n": 1}))
    assert await numbers(table.query_entities("PartitionKey eq @p", parameters={"p": name})) == [1]
