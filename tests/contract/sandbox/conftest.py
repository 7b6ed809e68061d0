"""One sandbox for the suite, its faults undone after every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from tests.contract.sandbox.client import Sandbox
from tests.services import running


@pytest.fixture(scope="session")
def sandbox_url() -> Iterator[str]:
    with running("sandbox", "--port", "0") as service:
        yield service.url


@pytest.fixture
def sandbox(sandbox_url: str) -> Iterator[Sandbox]:
    with requests.Session() as session:
        yield Sandbox(sandbox_url, session)
        session.delete(f"{sandbox_url}/_control", timeout=5).raise_for_status()
