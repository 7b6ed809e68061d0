"""What the adapters say when a service is not there, or goes away."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from shared.azure.cosmos import CosmosResultStore
from shared.azure.servicebus import ServiceBusConnection, ServiceBusJobQueue
from shared.azure.table_service import TableConnection
from shared.azure.tables import TableStatusStore
from shared.composition import utc_now
from shared.config import Connection
from shared.jobs.ids import new_job_id
from shared.jobs.model import JobMessage, ResultDocument
from shared.service.ports import JobFilter, Outgoing, TransientError
from tests.contract.ports import services
from tests.contract.tables.azurite import start_azurite
from tests.services import running
from tests.unit.examples import a_job

pytestmark = pytest.mark.xdist_group("ports-outage")

#: A caller of the API waits for these: seconds until the adapter has given up.
PATIENCE = 15
JOB = a_job(job_id=new_job_id(utc_now(), random.SystemRandom()))
MESSAGE = Outgoing(JobMessage(job=JOB, attempt=1), "m")

Call = Callable[[], Awaitable[object]]


async def raised_by(call: Call) -> TransientError:
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(TransientError) as caught:
            await call()
    return caught.value


def status_calls(store: TableStatusStore) -> list[Call]:
    return [
        lambda: store.insert(JOB),
        lambda: store.get("default", JOB.job_id),
        lambda: store.update(JOB, JOB, 'W/"1"'),
        lambda: store.hours("default"),
        lambda: store.page("default", "2026030110", JobFilter(), 10, None),
    ]


def result_calls(store: CosmosResultStore) -> list[Call]:
    return [lambda: store.put(ResultDocument(job=JOB)), lambda: store.get("default", JOB.job_id)]


@pytest.fixture
async def nobody() -> AsyncIterator[tuple[TableStatusStore, CosmosResultStore, ServiceBusJobQueue]]:
    """Adapters of services that are not there."""
    port = services.nobodys_port()
    status = TableStatusStore(TableConnection(services.tables(port)), utc_now)
    results = CosmosResultStore(services.cosmos(port), "dtq", ttl_days=1)
    queue = ServiceBusJobQueue(ServiceBusConnection(services.service_bus(port)))
    yield status, results, queue
    for adapter in (status, results, queue):
        await adapter.close()


async def test_stores_that_are_not_there_are_said_to_be_away(
    nobody: tuple[TableStatusStore, CosmosResultStore, ServiceBusJobQueue],
) -> None:
    status, results, _ = nobody
    await asyncio.gather(*map(raised_by, [*status_calls(status), *result_calls(results)]))


async def test_many_rows_at_once_each_say_that_the_table_is_away(
    nobody: tuple[TableStatusStore, CosmosResultStore, ServiceBusJobQueue],
) -> None:
    # The hour has to be remembered first, and that is one call for all of them.
    await raised_by(lambda: nobody[0].insert_many([JOB]))


async def test_a_broker_that_refuses_the_connection_has_certainly_not_taken_the_message(
    nobody: tuple[TableStatusStore, CosmosResultStore, ServiceBusJobQueue],
) -> None:
    queue = nobody[2]
    calls: list[Call] = [
        lambda: queue.send([MESSAGE]),
        lambda: queue.send([MESSAGE, MESSAGE]),
        lambda: queue.send_dead(MESSAGE.message, "r", "d"),
    ]
    *sending, _ = await asyncio.gather(*map(raised_by, [*calls, queue.oldest_waiting]))
    assert [error.unknown_outcome for error in sending] == [False, False, False]


async def test_a_table_service_that_is_killed_is_away(tmp_path: Path) -> None:
    azurite = start_azurite(tmp_path)
    store = TableStatusStore(TableConnection(Connection(azurite.connection_string)), utc_now)
    await store.insert(JOB)
    azurite.stop(signal.SIGKILL)
    await asyncio.gather(*map(raised_by, status_calls(store)))
    await store.close()


async def test_a_cosmos_that_is_killed_is_away(tmp_path: Path) -> None:
    with running("cosmos", "--port", "0", "--data", os.fspath(tmp_path / "c.db"), env=services.KEYS) as service:
        store = CosmosResultStore(services.cosmos(service.port), "dtq", ttl_days=1)
        await store.put(ResultDocument(job=JOB))
        service.kill()
        await asyncio.gather(*map(raised_by, result_calls(store)))
        await store.close()


async def test_a_broker_that_is_killed_is_away_and_found_again_when_it_is_back(tmp_path: Path) -> None:
    data = os.fspath(tmp_path / "sb.db")
    with running("servicebus", "--port", "0", "--data", data, env=services.KEYS) as service:
        queue = ServiceBusJobQueue(ServiceBusConnection(services.service_bus(service.port)))
        await queue.send([MESSAGE])
        service.kill()
        await asyncio.gather(raised_by(lambda: queue.send([MESSAGE])), raised_by(queue.oldest_waiting))
        with running("servicebus", "--port", str(service.port), "--data", data, env=services.KEYS):
            async with asyncio.timeout(PATIENCE):
                await queue.send([Outgoing(MESSAGE.message, "m2")])
                assert (await queue.oldest_waiting())[JOB.priority] is not None
            await queue.close()
