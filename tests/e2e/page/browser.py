"""A headless Chromium for the tests: found, started, and watched for what its console complains about."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

#: Quiet and self-contained: no sandbox because containers run as root, no calls home.
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """The executable that CHROMIUM names, else the first on PATH; skips without one, which CI=true forbids."""
    names = [os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next(filter(None, (shutil.which(name) for name in names if name)), None)
    if found is not None:
        return found
    reason = (
        "NO BROWSER: the page was NOT tested. Install Chromium (Debian, as root: apt-get install chromium), "
        "or name one in CHROMIUM."
    )
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A running browser for the length of a `with` block."""
    executable = find_chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=ARGUMENTS)
        try:
            yield browser
        finally:
            await browser.close()


class Complaints:
    """What the console reported as errors, and exceptions nobody caught; `expected` are parts of allowed ones."""

    def __init__(self, page: Page) -> None:
        self.expected: list[str] = []
        self._seen: list[str] = []
        page.on("console", self._note)
        page.on("pageerror", lambda error: self._seen.append(f"uncaught: {error}"))

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._seen.append(f"{message.text} ({message.location.get('url', '')})")

    def unexpected(self) -> list[str]:
        return [text for text in self._seen if not any(part in text for part in self.expected)]
