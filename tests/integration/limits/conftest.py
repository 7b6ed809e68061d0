"""One stack of three worker processes for all, whose limits each hold for a job type of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.limits.client import Client
from tests.integration.supervisor.running import RunningStack

QUOTES_A_SECOND = 5
TASKS_AT_ONCE = 2


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    limits = {"quote": {"rate_per_second": QUOTES_A_SECOND}, "test_task": {"max_concurrent": TASKS_AT_ONCE}}
    yield from stack(tmp_path_factory.mktemp("limits"), DTQ_JOB_TYPE_LIMITS=json.dumps(limits))


def stack(folder: Path, **settings: str) -> Iterator[Client]:
    """A stack of three workers for as long as the generator lives."""
    data = folder / "data"
    running = RunningStack(data, "--workers", "3", env=settings)
    try:
        yield Client(running, data)
    finally:
        assert running.stop() == 0
