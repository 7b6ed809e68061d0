"""One emulator for the session; every test has queues of its own."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from azure.servicebus.management import ServiceBusAdministrationClient

from tests.contract.servicebus.sdk import ENVIRONMENT, Sdk, administration, close_pipes
from tests.services import Service, running

MakeQueue = Callable[..., str]


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("servicebus")
    config = folder / "Config.json"
    config.write_text(json.dumps({"UserConfig": {"Namespaces": [{"Name": "tests", "Queues": [], "Topics": []}]}}))
    arguments = ("--port", "0", "--data", os.fspath(folder / "data.db"), "--config", os.fspath(config))
    with running("servicebus", *arguments, env=ENVIRONMENT) as service:
        yield service
    close_pipes(service)


@pytest.fixture(scope="session")
def admin(service: Service) -> Iterator[ServiceBusAdministrationClient]:
    with administration(service.port) as client:
        yield client


@pytest.fixture(scope="session")
def make_queue(admin: ServiceBusAdministrationClient) -> MakeQueue:
    """Creates a queue of the given properties and returns its name."""
    numbers = itertools.count(1)

    def make(**properties: Any) -> str:
        name = f"queue-{next(numbers)}"
        admin.create_queue(name, **properties)
        return name

    return make


@pytest.fixture
def queue(make_queue: MakeQueue) -> str:
    return make_queue()


@pytest.fixture(params=["sync", "async"])
async def sdk(request: pytest.FixtureRequest, service: Service) -> AsyncIterator[Sdk]:
    """For what both clients must be able to do."""
    made = Sdk(request.param, service.port)
    yield made
    await _close(made)


@pytest.fixture
async def async_sdk(service: Service) -> AsyncIterator[Sdk]:
    """For what depends on the emulator alone."""
    made = Sdk("async", service.port)
    yield made
    await _close(made)


async def _close(sdk: Sdk) -> None:
    closing = sdk.client.close()
    if closing is not None:
        await closing
