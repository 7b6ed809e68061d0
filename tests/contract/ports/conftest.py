"""Every port twice: as the adapter over the unmodified SDK and a local service, and as the fake of `tests/fakes.py`."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from shared.azure.cosmos import CosmosResultStore
from shared.azure.queue_admin import ServiceBusQueueAdmin
from shared.azure.records import TableRecords
from shared.azure.servicebus import ServiceBusConnection, ServiceBusJobQueue
from shared.azure.signalr import SignalRNotifier
from shared.azure.table_service import TableConnection
from shared.azure.tables import TableStatusStore
from shared.composition import utc_now
from shared.config import Connection
from shared.service.ports import Records, ResultStore, StatusStore
from tests.contract.ports import services
from tests.contract.ports.broker import Broker, FakeBroker, RealBroker
from tests.contract.tables.azurite import start_azurite
from tests.fakes import Clock, FakeQueue, FakeRecords, FakeResultStore, FakeStatusStore
from tests.services import running


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    azurite = start_azurite(tmp_path_factory.mktemp("ports-tables"))
    yield Connection(azurite.connection_string)
    azurite.stop()


@pytest.fixture(scope="session")
def cosmos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    data = os.fspath(tmp_path_factory.mktemp("ports-cosmos") / "cosmos.db")
    with running("cosmos", "--port", "0", "--data", data, env=services.KEYS) as service:
        yield services.cosmos(service.port)


@pytest.fixture(scope="session")
def service_bus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    data = os.fspath(tmp_path_factory.mktemp("ports-servicebus") / "servicebus.db")
    with running("servicebus", "--port", "0", "--data", data, env=services.KEYS) as service:
        yield services.service_bus(service.port)


@pytest.fixture(scope="session")
def signalr() -> Iterator[Connection]:
    with running("signalr", "--port", "0", env=services.KEYS) as service:
        yield services.signalr(service.port)


@pytest.fixture
def tenant() -> str:
    """A tenant of its own for every test, so that none sees another's rows."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["fake", "azure"])
async def status(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[StatusStore]:
    store: FakeStatusStore | TableStatusStore
    if request.param == "fake":
        store = FakeStatusStore(clock)
    else:
        store = TableStatusStore(TableConnection(request.getfixturevalue("tables")), clock)
    yield store
    await store.close()


@pytest.fixture(params=["fake", "azure"])
async def records(request: pytest.FixtureRequest) -> AsyncIterator[Records]:
    store: FakeRecords | TableRecords
    if request.param == "fake":
        store = FakeRecords()
    else:
        store = TableRecords(TableConnection(request.getfixturevalue("tables")))
    yield store
    await store.close()


@pytest.fixture(params=["fake", "azure"])
async def results(request: pytest.FixtureRequest) -> AsyncIterator[ResultStore]:
    store: FakeResultStore | CosmosResultStore
    if request.param == "fake":
        store = FakeResultStore()
    else:
        store = CosmosResultStore(request.getfixturevalue("cosmos"), "dtq", ttl_days=30)
    yield store
    await store.close()


@pytest.fixture(params=["fake", "azure"])
async def broker(request: pytest.FixtureRequest) -> AsyncIterator[Broker]:
    """A queue and its receiving end. Every test receives what it sent, so that the next finds the queues empty."""
    if request.param == "fake":
        yield FakeBroker(FakeQueue(utc_now))
        return
    connection: Connection = request.getfixturevalue("service_bus")
    queue = ServiceBusJobQueue(ServiceBusConnection(connection))
    admin = ServiceBusQueueAdmin(connection)
    yield RealBroker(queue, admin, connection)
    await queue.close()
    await admin.close()


@pytest.fixture
async def notifier(signalr: Connection) -> AsyncIterator[SignalRNotifier]:
    notifier = SignalRNotifier(signalr)
    yield notifier
    await notifier.close()
