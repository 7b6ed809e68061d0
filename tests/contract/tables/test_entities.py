"""Single entities: insert, get, merge, replace, delete, ETags, types, keys and limits."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import EdmType, EntityProperty, UpdateMode

from tests.contract.tables.sdk import done, status_of

UNCHANGED = MatchConditions.IfNotModified


def entity(row: Any = "r", **properties: Any) -> dict[str, Any]:
    return {"PartitionKey": "p", "RowKey": row, **properties}


async def test_every_type_comes_back_as_it_was(table: Any) -> None:
    values = {
        "text": 'ü€😀 "quoted"',
        "number": 2**31 - 1,
        "large": EntityProperty(2**62, EdmType.INT64),
        "real": 0.1,
        "yes": True,
        "bytes": bytes(range(256)),
        "id": uuid.uuid4(),
        "time": datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC),
        "empty": "",
    }
    await done(table.create_entity(entity(**values)))
    found = await done(table.get_entity("p", "r"))
    assert {name: found[name] for name in values} == values


async def test_a_property_that_is_none_is_not_stored(table: Any) -> None:
    await done(table.create_entity(entity(a=None, b=1)))
    assert "a" not in await done(table.get_entity("p", "r"))


async def test_a_second_insert_is_409_and_changes_nothing(table: Any) -> None:
    await done(table.create_entity(entity(n=1)))
    with pytest.raises(ResourceExistsError) as caught:
        await done(table.create_entity(entity(n=2)))
    assert caught.value.status_code == 409
    assert (await done(table.get_entity("p", "r")))["n"] == 1


async def test_a_missing_entity_is_404_for_get_and_update_and_nothing_for_delete(table: Any) -> None:
    with pytest.raises(ResourceNotFoundError):
        await done(table.get_entity("p", "r"))
    for mode in UpdateMode:
        with pytest.raises(ResourceNotFoundError):
            await done(table.update_entity(entity(n=1), mode=mode))
    await done(table.delete_entity("p", "r"))


@pytest.mark.parametrize("mode", UpdateMode)
async def test_merge_keeps_other_properties_and_replace_does_not(table: Any, mode: UpdateMode) -> None:
    await done(table.create_entity(entity(a=1, b=1)))
    await done(table.update_entity(entity(b=2), mode=mode))
    kept = {"a": 1, "b": 2} if mode is UpdateMode.MERGE else {"b": 2}
    found = await done(table.get_entity("p", "r"))
    assert {name: value for name, value in found.items() if name in "ab"} == kept
    await done(table.upsert_entity(entity(c=3), mode=mode))
    found = await done(table.get_entity("p", "r"))
    assert {name: value for name, value in found.items() if name in "abc"} == (
        {**kept, "c": 3} if mode is UpdateMode.MERGE else {"c": 3}
    )


async def test_insert_and_update_answer_the_etag_that_get_shows(table: Any) -> None:
    first = (await done(table.create_entity(entity(n=1))))["etag"]
    assert (await done(table.get_entity("p", "r"))).metadata["etag"] == first
    second = (await done(table.update_entity(entity(n=2), mode=UpdateMode.MERGE)))["etag"]
    assert second != first
    assert (await done(table.get_entity("p", "r"))).metadata["etag"] == second


@pytest.mark.parametrize("operation", ["merge", "replace", "delete"])
async def test_a_write_on_an_old_etag_is_412_and_changes_nothing(table: Any, operation: str) -> None:
    old = (await done(table.create_entity(entity(n=1))))["etag"]
    current = (await done(table.update_entity(entity(n=2), mode=UpdateMode.MERGE)))["etag"]
    calls = {
        "merge": lambda etag: table.update_entity(
            entity(n=3), mode=UpdateMode.MERGE, etag=etag, match_condition=UNCHANGED
        ),
        "replace": lambda etag: table.update_entity(
            entity(n=3), mode=UpdateMode.REPLACE, etag=etag, match_condition=UNCHANGED
        ),
        "delete": lambda etag: table.delete_entity("p", "r", etag=etag, match_condition=UNCHANGED),
    }
    with pytest.raises(ResourceModifiedError) as caught:
        await done(calls[operation](old))
    assert caught.value.status_code == 412
    assert (await done(table.get_entity("p", "r")))["n"] == 2
    await done(calls[operation](current))


async def test_a_conditional_update_of_a_deleted_entity_is_404(table: Any) -> None:
    etag = (await done(table.create_entity(entity(n=1))))["etag"]
    await done(table.delete_entity("p", "r"))
    update = table.update_entity
    assert await status_of(lambda: update(entity(n=2), etag=etag, match_condition=UNCHANGED)) == 404


async def test_of_concurrent_claims_on_one_etag_exactly_one_wins(table: Any) -> None:
    etag = (await done(table.create_entity(entity())))["etag"]

    async def claim(n: int) -> int:
        return await status_of(lambda: table.update_entity(entity(owner=n), etag=etag, match_condition=UNCHANGED))

    assert sorted(await asyncio.gather(*(claim(n) for n in range(8)))) == [0, *[412] * 7]


async def test_rapid_updates_never_repeat_an_etag(table: Any) -> None:
    await done(table.create_entity(entity()))
    etags = [(await done(table.upsert_entity(entity(n=n))))["etag"] for n in range(50)]
    assert len(set(etags)) == 50


@pytest.mark.parametrize(
    "key", ["a b", "it's", "100%", "a%20b", "a+b", "a=b&c", "user@x:1", "(a),[b];", "ü€😀", "~!$*^|", "x" * 256, ""]
)
async def test_odd_keys_work(table: Any, key: str) -> None:
    odd = {"PartitionKey": key, "RowKey": key, "n": 1}
    etag = (await done(table.create_entity(odd)))["etag"]
    await done(table.update_entity({**odd, "n": 2}, etag=etag, match_condition=UNCHANGED))
    assert (await done(table.get_entity(key, key)))["n"] == 2
    await done(table.delete_entity(key, key))
    assert await status_of(lambda: table.get_entity(key, key)) == 404


@pytest.mark.parametrize("value", [bytes(64 * 1024), "x" * (32 * 1024)], ids=["64 KiB binary", "32 Ki characters"])
async def test_a_property_of_64_kib_fits_and_a_larger_one_is_refused(table: Any, value: Any) -> None:
    await done(table.create_entity(entity(value=value)))
    assert (await done(table.get_entity("p", "r")))["value"] == value
    with pytest.raises(HttpResponseError) as caught:
        await done(table.create_entity(entity("other", value=value + value[:1])))
    assert caught.value.status_code in (400, 413)
    assert await status_of(lambda: table.get_entity("p", "other")) == 404


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_an_entity_may_spread_bytes_over_several_properties(table: Any) -> None:
    """The service takes 1 MiB in all. Azurite counts the JSON, where bytes are a third longer, and not on inserts."""
    parts = {f"part{n}": bytes([n]) * 64 * 1024 for n in range(10)}
    await done(table.create_entity(entity(**parts)))
    await done(table.update_entity(entity(**parts, n=1), mode=UpdateMode.MERGE))
    found = await done(table.get_entity("p", "r"))
    assert {name: found[name] for name in parts} == parts
    more = {f"more{n}": bytes(64 * 1024) for n in range(10)}
    assert await status_of(lambda: table.update_entity(entity(**parts, **more), mode=UpdateMode.REPLACE)) == 400
    assert (await done(table.get_entity("p", "r")))["n"] == 1
