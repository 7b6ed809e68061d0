"""One whole stack for the suite, started as a user starts it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import requests

from tests.contract.http_api.api import Api
from tests.services import running


@pytest.fixture(scope="session")
def stack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = os.fspath(tmp_path_factory.mktemp("http-api"))
    with running("up", "--port", "0", "--data", data) as service:
        yield service.url


@pytest.fixture
def api(stack_url: str) -> Iterator[Api]:
    with requests.Session() as session:
        yield Api(stack_url, session)
