"""One host of the HTTP app for the whole suite; other tests start their own."""

from __future__ import annotations

import tracemalloc  # noqa: F401 - pytest imports it in whatever thread reports a warning first, which races
from collections.abc import Iterator

import pytest
import requests

from tests.contract.host.hosting import APPS
from tests.services import Service, running


@pytest.fixture(scope="session")
def http_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environment = {"AzureWebJobs.switched_off.Disabled": "1", "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "100000"}
    state = str(tmp_path_factory.mktemp("state"))
    with running(
        "host",
        "--app",
        str(APPS / "http"),
        "--port",
        "0",
        "--state",
        state,
        "--cors",
        "http://ui.test",
        env=environment,
    ) as service:
        yield service


@pytest.fixture(scope="session")
def http(http_host: Service) -> Iterator[Http]:
    with requests.Session() as session:
        yield Http(http_host, session)


class Http:
    """Calls to the host of the HTTP app."""

    def __init__(self, service: Service, session: requests.Session) -> None:
        self.service = service
        self._session = session

    def call(self, method: str, path: str, **options: object) -> requests.Response:
        return self._session.request(method, self.service.url + path, timeout=10, **options)  # type: ignore[arg-type]

    def get(self, path: str, **options: object) -> requests.Response:
        return self.call("GET", path, **options)
