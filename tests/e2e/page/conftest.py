from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urljoin

import pytest
import pytest_asyncio
import requests
from playwright.async_api import Browser, Page, expect

from tests.e2e.page.browser import Complaints, chromium
from tests.e2e.page.client import Client
from tests.services import ROOT, Service, running

TIMEOUT_MS = 15_000
SLOW_SECONDS = 0.4
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stack keeps its state."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(data: Path) -> Iterator[Service]:
    """The whole stack on free ports, with data of its own."""
    with running("up", "--port", "0", "--data", str(data)) as service:
        yield service


@pytest.fixture
def slow_weather(stack: Service, data: Path) -> Iterator[None]:
    """The weather provider as slow as one across the ocean: the sandbox answers within a frame or two."""
    lines = subprocess.run(
        [sys.executable, "-m", "local", "env", "--data", str(data)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    ).stdout.splitlines()
    settings = dict(line.split("=", 1) for line in lines)
    controls = [
        urljoin(settings["DTQ_WEATHER_GEOCODING_URL"], "/_control/geocoding"),
        urljoin(settings["DTQ_WEATHER_FORECAST_URL"], "/_control/forecast"),
    ]
    for control in controls:
        requests.put(control, json={"delay_seconds": SLOW_SECONDS}, timeout=5).raise_for_status()
    yield
    for control in controls:
        requests.put(control, json={}, timeout=5).raise_for_status()


@pytest.fixture(scope="session")
def stack_url(stack: Service) -> str:
    """Where page and API are served."""
    return stack.url


@pytest.fixture
def api(stack: Service) -> Client:
    """The API as another program than the page calls it."""
    return Client(stack.url)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, stack: Service) -> AsyncIterator[Page]:
    """A new, empty window whose relative addresses are the stack's."""
    context = await browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    page = await context.new_page()
    yield page
    # A call that a test's route still passes on must not complain that the page is gone.
    await page.unroute_all(behavior="ignoreErrors")
    await context.close()


@pytest.fixture(autouse=True)
def complaints(page: Page) -> Iterator[Complaints]:
    """Fails the test when the page's console complained of anything that the test did not say it expects."""
    complaints = Complaints(page)
    yield complaints
    assert complaints.unexpected() == []
