"""Pages and continuation tokens."""

from __future__ import annotations

from typing import Any

import pytest
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.contract.cosmos.sdk import collect, done


async def pages(paged: Any) -> list[list[Any]]:
    """All pages of a query, each as a list."""
    by_page = paged.by_page()
    if hasattr(by_page, "__aiter__"):
        return [[item async for item in page] async for page in by_page]
    return [list(page) for page in by_page]


async def first_page(paged: Any, token: str | None = None) -> tuple[list[Any], str | None]:
    """The page at `token` and the token of the one after it."""
    by_page = paged.by_page(token)
    page = await anext(by_page) if hasattr(by_page, "__anext__") else next(by_page)
    return await collect(page), by_page.continuation_token


@pytest.fixture
async def filled(container: Any) -> Any:
    """50 items in partition t (n from 0, groups of ten in `g`) and one elsewhere."""
    operations = [("create", ({"id": f"{n:03}", "tenant": "t", "n": n, "g": n // 10},)) for n in range(50)]
    await done(container.execute_item_batch(operations, "t"))
    await done(container.create_item({"id": "x", "tenant": "elsewhere", "n": 1000, "g": 100}))
    return container


@pytest.mark.parametrize(
    ("query", "sizes"),
    [
        ("SELECT VALUE c.n FROM c", [20, 20, 10]),
        ("SELECT VALUE c.n FROM c WHERE c.n < 25", [20, 5]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n DESC", [20, 20, 10]),
        ("SELECT VALUE c.n FROM c ORDER BY c.g DESC", [20, 20, 10]),
        ("SELECT TOP 30 VALUE c.n FROM c ORDER BY c.n", [20, 10]),
        ("SELECT VALUE c.n FROM c ORDER BY c.n OFFSET 5 LIMIT 40", [20, 20]),
        ("SELECT DISTINCT VALUE c.n FROM c", [20, 20, 10]),
        ("SELECT VALUE c.n FROM c GROUP BY c.n", [20, 20, 10]),
    ],
)
async def test_pages_hold_what_was_asked_for_and_each_result_once(filled: Any, query: str, sizes: list[int]) -> None:
    found = await pages(filled.query_items(query, partition_key="t", max_item_count=20))
    assert [len(page) for page in found] == sizes
    results = [n for page in found for n in page]
    assert results == await collect(filled.query_items(query, partition_key="t"))
    assert len(set(results)) == sum(sizes)


@pytest.mark.parametrize("order", ["", " ORDER BY c.n", " ORDER BY c.g DESC"])
async def test_a_token_continues_after_its_page_whatever_was_written_meanwhile(filled: Any, order: str) -> None:
    def query() -> Any:
        return filled.query_items("SELECT * FROM c" + order, partition_key="t", max_item_count=15)  # noqa: S608 - no SQL server

    page, token = await first_page(query())
    last = page[-1]
    await done(filled.delete_item(last["id"], "t"))
    await done(filled.delete_item(page[0]["id"], "t"))
    await done(filled.create_item({**page[0], "id": f"{last['id']}a", "n": last["n"] + 0.5, "g": last["g"]}))
    following, _ = await first_page(query(), token)
    assert following[0]["id"] == f"{last['id']}a"
    assert not {item["id"] for item in page} & {item["id"] for item in following}


async def test_a_token_of_another_query_or_none_at_all_is_400(filled: Any) -> None:
    _, token = await first_page(filled.query_items("SELECT * FROM c", partition_key="t", max_item_count=5))
    for wrong in (token, "bm9uc2Vuc2U=", "%%%"):
        with pytest.raises(CosmosHttpResponseError, match="Invalid Continuation Token"):
            await first_page(filled.query_items("SELECT c.id FROM c", partition_key="t", max_item_count=5), wrong)


async def test_a_page_stays_below_4_mb(container: Any) -> None:
    for n in range(6):
        await done(container.create_item({"id": str(n), "tenant": "t", "text": "x" * 900_000}, no_response=True))
    for query in ("SELECT * FROM c", "SELECT * FROM c ORDER BY c.id"):
        found = await pages(container.query_items(query, partition_key="t"))
        assert [len(page) for page in found] in ([5, 1], [4, 2])
