from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.e2e.page.browser import Complaints, chromium
from tests.e2e.page.client import Client
from tests.services import Service, running

TIMEOUT_MS = 15_000
expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The whole stack on free ports, with data of its own."""
    with running("up", "--port", "0", "--data", str(tmp_path_factory.mktemp("stack"))) as service:
        yield service


@pytest.fixture
def api(stack: Service) -> Client:
    """The API as another program than the page calls it."""
    return Client(stack.url)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser, stack: Service) -> AsyncIterator[Page]:
    """A new, empty window whose relative addresses are the stack's."""
    context = await browser.new_context(base_url=stack.url, viewport={"width": 1440, "height": 900})
    context.set_default_timeout(TIMEOUT_MS)
    yield await context.new_page()
    await context.close()


@pytest.fixture(autouse=True)
def complaints(page: Page) -> Iterator[Complaints]:
    """Fails the test when the page's console complained of anything that the test did not say it expects."""
    complaints = Complaints(page)
    yield complaints
    assert complaints.unexpected() == []
