"""Pictures of every view, 1440 and 390 wide, light and dark, of a stack that has something to do.

`make screenshots` writes them to docs/images; which of them are kept says the .gitignore there.
"""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from tempfile import TemporaryDirectory
from typing import Any, Literal
from urllib.parse import urljoin

import requests
from playwright.async_api import Page, expect

from tests.e2e.page.browser import chromium
from tests.e2e.page.client import Client, off_thread
from tests.e2e.page.pages import state, status
from tests.services import ROOT, running

IMAGES = ROOT / "docs/images"
SCHEMES: list[Literal["light", "dark"]] = ["light", "dark"]
SIZES = [(1440, 900), (390, 844)]
#: How long jobs come in before the pictures are taken, so that the charts have a past.
TRAFFIC_SECONDS = 100
TAGS = [[], [], ["nightly"], ["import", "eu"], ["newsletter"]]
PRIORITIES = ["critical", "high", "medium", "medium", "medium", "low"]


def ordinary(rng: random.Random) -> dict[str, Any]:
    """A job as they come in all day."""
    payloads: list[tuple[str, dict[str, Any]]] = [
        ("weather", {"city": rng.choice(["Austin", "Oslo", "Lima", "Tokyo"])}),
        ("quote", {}),
        ("exchange_rate", {"base": "EUR", "symbols": ["USD", "JPY"], "amount": rng.randint(1, 900)}),
        ("github_user", {"username": "octocat"}),
        ("test_task", {"sleep_seconds": rng.random() * 4, "progress_steps": 8, "fail_times": rng.choice([0, 0, 0, 1])}),
    ]
    job_type, payload = rng.choice(payloads)
    options = {"priority": rng.choice(PRIORITIES), "tags": rng.choice(TAGS)}
    return {"job_type": job_type, "payload": payload, **options}


def make_traffic(api: Client, settings: dict[str, str]) -> None:
    """A busy minute or two; at its end a provider goes down, and a few jobs fail for good."""
    rng = random.Random(5)
    end = time.monotonic() + TRAFFIC_SECONDS
    while time.monotonic() < end:
        api.submit_batch([ordinary(rng) for _ in range(rng.choice([1, 3, 3, 6, 25]))])
        time.sleep(1.5)
    provider = urljoin(settings["DTQ_GITHUB_URL"], "/_control/github")
    requests.put(provider, json={"status": 503}, timeout=5).raise_for_status()
    api.submit_batch([{"job_type": "github_user", "payload": {"username": "octocat"}, "max_retries": 0}] * 6)
    for _ in range(3):
        api.dead_job(priority="high", tags=["import"])
    api.submit_batch([{"job_type": "weather", "payload": {"city": "Atlantis"}, "max_retries": 0}] * 2)
    api.submit_batch([{"job_type": "quote", "payload": {}, "delay_seconds": 7200 + 60 * step} for step in range(4)])
    api.submit_batch([ordinary(rng) for _ in range(30)])


async def settled(page: Page) -> None:
    """Nothing is loading, and what is read regularly has been read."""
    await expect(page.locator(".loading")).to_have_count(0, timeout=30_000)
    await page.wait_for_timeout(1_500)


async def take(page: Page, views: dict[str, str]) -> None:
    """Every view in every size and scheme, in one page, which keeps the history of its charts."""
    for width, height in SIZES:
        await page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            for name, address in views.items():
                await page.evaluate("(hash) => { location.hash = hash; }", f"#/{address}")
                await settled(page)
                path = IMAGES / f"{name}-{width}-{scheme}.png"
                await page.screenshot(path=path, full_page=True)
                print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1024:.0f} KiB")


async def picture(url: str, settings: dict[str, str]) -> None:
    """Let jobs run while the page is open, then take the pictures."""
    api = Client(url)
    async with chromium() as browser:
        page = await browser.new_page(base_url=url)
        await page.goto("/")
        await expect(status(page)).to_have_text("Live")
        await off_thread(make_traffic, api, settings)
        retried = {"fail_times": 2, "sleep_seconds": 1, "result": {"rows": 1204, "file": "report-2026-11.csv"}}
        done = await off_thread(api.submit, "test_task", retried, tags=["import", "eu"])
        slow = {"sleep_seconds": 240, "progress_steps": 120}
        runs = await off_thread(api.submit, "test_task", slow, priority="high")
        await page.goto(f"/#/jobs/{done['job_id']}")
        await expect(state(page)).to_have_text("completed", timeout=60_000)
        views = {
            "overview": "",
            "jobs": "jobs",
            "job": f"jobs/{done['job_id']}",
            "job-running": f"jobs/{runs['job_id']}",
            "queues": "queues",
            "dead-letters": "dead-letters",
            "new-job": "new",
            "batch": "new?mode=batch",
        }
        await take(page, views)
        await off_thread(api.cancel, runs["job_id"])


def main() -> None:
    """Start a stack of its own, take the pictures, stop it."""
    with TemporaryDirectory(prefix="dtq-screenshots-") as data, running("up", "--port", "0", "--data", data) as stack:
        command = [sys.executable, "-m", "local", "env", "--data", data]
        lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=20).stdout
        settings = dict(line.split("=", 1) for line in lines.splitlines())
        asyncio.run(picture(stack.url, settings))


if __name__ == "__main__":
    main()
