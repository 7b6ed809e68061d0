"""What every `Records` does."""

from __future__ import annotations

import asyncio

import pytest

from shared.service.ports import ConflictError, PreconditionFailedError, Records


async def test_a_record_is_there_once_it_is_created(records: Records, tenant: str) -> None:
    assert await records.get(tenant, "queue:low") is None
    etag = await records.create(tenant, "queue:low", {"at": "now", "n": [1, 2.5, None, "é"]})
    found = await records.get(tenant, "queue:low")
    assert found is not None
    assert (found.key, found.value, found.etag) == ("queue:low", {"at": "now", "n": [1, 2.5, None, "é"]}, etag)
    with pytest.raises(ConflictError):
        await records.create(tenant, "queue:low", {})


async def test_only_who_saw_the_last_value_replaces_it(records: Records, tenant: str) -> None:
    first = await records.create(tenant, "k", 1)
    second = await records.replace(tenant, "k", 2, first)
    with pytest.raises(PreconditionFailedError):
        await records.replace(tenant, "k", 3, first)
    assert (await records.replace(tenant, "k", 4, second)) not in (first, second)
    with pytest.raises(PreconditionFailedError):
        await records.replace(tenant, "missing", 1, first)


async def test_of_many_that_replace_one_value_one_succeeds(records: Records, tenant: str) -> None:
    etag = await records.create(tenant, "k", 0)
    outcomes = await asyncio.gather(
        *(records.replace(tenant, "k", number, etag) for number in range(8)), return_exceptions=True
    )
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, PreconditionFailedError) for outcome in outcomes) == 7


async def test_put_and_delete_ask_nothing(records: Records, tenant: str) -> None:
    await records.delete(tenant, "k")
    await records.put(tenant, "k", 1)
    await records.put(tenant, "k", 2)
    found = await records.get(tenant, "k")
    assert found is not None
    assert found.value == 2
    await records.delete(tenant, "k")
    assert await records.get(tenant, "k") is None


async def test_records_are_listed_by_key_within_their_kind(records: Records, tenant: str) -> None:
    for key in ("b", "c", "a"):
        await records.put(tenant, key, key)
    await records.put(f"{tenant}x", "z", "z")
    assert [record.value for record in await records.list(tenant)] == ["a", "b", "c"]
    assert [record.value for record in await records.list(tenant, first="b")] == ["b", "c"]
    assert [record.value for record in await records.list(tenant, limit=1)] == ["a"]


async def test_a_fold_happens_as_a_whole(records: Records, tenant: str) -> None:
    for key, value in (("dead", 3), ("total", 10)):
        await records.put(tenant, key, value)
    seen = await records.list(tenant)
    await records.fold(tenant, {"total": 13}, seen)
    assert [(record.key, record.value) for record in await records.list(tenant)] == [("total", 13)]
    with pytest.raises(PreconditionFailedError):
        await records.fold(tenant, {"total": 16}, seen)
    assert [(record.key, record.value) for record in await records.list(tenant)] == [("total", 13)]


async def test_a_fold_may_make_its_sum(records: Records, tenant: str) -> None:
    await records.put(tenant, "dead", 3)
    await records.fold(tenant, {"total": 3}, await records.list(tenant))
    assert [(record.key, record.value) for record in await records.list(tenant)] == [("total", 3)]


async def test_a_fold_does_not_write_over_what_it_did_not_see(records: Records, tenant: str) -> None:
    await records.put(tenant, "total", 10)
    with pytest.raises(PreconditionFailedError):
        await records.fold(tenant, {"total": 0}, [])
    found = await records.get(tenant, "total")
    assert found is not None
    assert found.value == 10
