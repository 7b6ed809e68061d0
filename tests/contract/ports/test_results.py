"""The result store: what Cosmos DB and its fake both promise."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from shared.azure.cosmos import CosmosResultStore
from shared.config import Connection
from shared.jobs.ids import new_job_id, partition_key
from shared.jobs.model import Attempt, JobState, ResultDocument, TimelineEntry
from shared.service.ports import PreconditionFailedError, ResultStore
from tests.contract.ports import services
from tests.fakes import START
from tests.unit.examples import a_job

pytestmark = pytest.mark.xdist_group("ports")


def a_document(tenant: str, result: Any = None, **fields: Any) -> ResultDocument:
    fields.setdefault("job_id", new_job_id(START, random.SystemRandom()))
    job = a_job(
        tenant=tenant,
        state=JobState.COMPLETED,
        finished_at=START,
        attempts=(Attempt(1, START, START, "completed"),),
        timeline=(TimelineEntry(START, 100, "Completed"),),
        **{"attempt": 1, "fence": 1, "owner": "one", **fields},
    )
    return ResultDocument(job=job, result=result)


@pytest.mark.parametrize("result", [None, {"a": [1, 2.5, None, "\u2603"]}, "text", 0, [], False])
async def test_a_document_is_read_as_it_was_written(results: ResultStore, tenant: str, result: Any) -> None:
    document = a_document(tenant, result, payload={"in": {"put": 1}}, tags=("t",))
    await results.put(document)
    assert await results.get(tenant, document.job.job_id) == document


async def test_a_document_that_was_never_written_is_none(results: ResultStore, tenant: str) -> None:
    document = a_document(tenant)
    assert await results.get(tenant, document.job.job_id) is None
    await results.put(document)
    assert await results.get(f"{tenant}x", document.job.job_id) is None


async def test_a_later_claim_writes_over_an_earlier_one(results: ResultStore, tenant: str) -> None:
    stale = a_document(tenant, "stale")
    later = a_document(tenant, "later", job_id=stale.job.job_id, fence=2, owner="two")
    await results.put(stale)
    await results.put(later)
    assert await results.get(tenant, stale.job.job_id) == later


@pytest.mark.parametrize("fence", [1, 2], ids=["lower", "same"])
async def test_a_stale_owner_is_refused(results: ResultStore, tenant: str, fence: int) -> None:
    later = a_document(tenant, "later", fence=2, owner="two")
    await results.put(later)
    with pytest.raises(PreconditionFailedError):
        await results.put(a_document(tenant, "stale", job_id=later.job.job_id, fence=fence))
    assert await results.get(tenant, later.job.job_id) == later


async def test_the_same_document_may_be_written_again(results: ResultStore, tenant: str) -> None:
    """The answer to the first call may have been lost."""
    document = a_document(tenant, "mine")
    await results.put(document)
    await results.put(document)
    assert await results.get(tenant, document.job.job_id) == document


async def test_the_same_claim_cannot_change_its_mind(results: ResultStore, tenant: str) -> None:
    document = a_document(tenant, "mine")
    await results.put(document)
    with pytest.raises(PreconditionFailedError):
        await results.put(a_document(tenant, "other", job_id=document.job.job_id, message="other"))
    assert await results.get(tenant, document.job.job_id) == document


async def test_of_claims_at_once_the_latest_stays(results: ResultStore, tenant: str) -> None:
    first = a_document(tenant, 1)
    claims = [a_document(tenant, n, job_id=first.job.job_id, fence=n, owner=f"o{n}") for n in range(1, 9)]
    await asyncio.gather(*(results.put(claim) for claim in claims), return_exceptions=True)
    assert await results.get(tenant, first.job.job_id) == claims[-1]


async def test_a_result_of_a_megabyte_is_kept(results: ResultStore, tenant: str) -> None:
    document = a_document(tenant, "x" * 1_000_000)
    await results.put(document)
    assert await results.get(tenant, document.job.job_id) == document


async def test_documents_lie_in_the_partition_of_their_row_and_live_for_their_time(
    cosmos: Connection, tenant: str
) -> None:
    store = CosmosResultStore(cosmos, "dtq", ttl_days=3)
    document = a_document(tenant)
    await store.put(document)
    job_id = document.job.job_id
    stored = await store._results().read_item(job_id, partition_key(tenant, job_id))
    assert stored["ttl"] == 3 * 86400
    await store.close()


async def test_first_calls_at_once_in_a_new_database_all_succeed(cosmos: Connection, tenant: str) -> None:
    """The first of them finds no container and makes it; no other may trip over that."""
    stores = [CosmosResultStore(cosmos, f"fresh-{tenant}", ttl_days=1) for _ in range(3)]
    documents = [a_document(tenant, n) for n in range(12)]
    await asyncio.gather(*(stores[n % 3].put(document) for n, document in enumerate(documents)))
    assert [await stores[0].get(tenant, each.job.job_id) for each in documents] == documents
    for store in stores:
        await store.close()


def test_the_connections_differ_by_port_alone() -> None:
    assert services.cosmos(1).connection_string.replace(":1/", ":2/") == services.cosmos(2).connection_string
