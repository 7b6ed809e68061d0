"""One service and one node process for the suite; whatever a test connects is gone after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.contract.signalr.node import Node, NodeClient
from tests.contract.signalr.service import HUB, KEY, Rest, negotiating
from tests.services import running

Connect = Callable[[str], NodeClient]


@pytest.fixture(scope="session")
def service_url() -> Iterator[str]:
    with running("signalr", "--port", "0", env={"SIGNALR_KEY": KEY}) as service:
        yield service.url


@pytest.fixture
def rest(service_url: str) -> Iterator[Rest]:
    rest = Rest(service_url)
    yield rest
    rest.call("POST", f"/api/hubs/{HUB}/:closeConnections")
    rest.close()


@pytest.fixture(scope="session")
def node_process() -> Iterator[Node]:
    node = Node()
    yield node
    node.close()


@pytest.fixture
def node(node_process: Node) -> Iterator[Node]:
    yield node_process
    node_process.stop_clients()


@pytest.fixture
def connect(node: Node, rest: Rest) -> Iterator[Connect]:
    """Connect a user the way a page does: by the application's negotiate, which redirects to the service."""
    with negotiating(rest) as url:

        def connect_user(user: str) -> NodeClient:
            return node.start(f"{url}?user={user}")

        yield connect_user
