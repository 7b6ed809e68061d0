"""The page when something is away: SignalR, the API, a key; it says so, misses nothing and comes back by itself."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.page.browser import Complaints
from tests.e2e.page.client import Client, off_thread
from tests.e2e.page.pages import open_live, result, row, rows, state, status

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("page")]

REALTIME = "**/api/v1/realtime/negotiate*"
RECONNECT_MS = 40_000


async def test_nothing_is_missed_when_signalr_is_killed(
    page: Page, api: Client, data: Path, complaints: Complaints
) -> None:
    complaints.expected += ["WebSocket", "net::ERR_", "status of 50"]
    running = await off_thread(api.submit, "test_task", {"sleep_seconds": 6, "progress_steps": 12})
    await open_live(page, "jobs")
    await expect(row(page, running["job_id"])).to_contain_text("Step 1")

    # While negotiation is held off, the page is without pushes for as long as the test likes.
    await page.route(REALTIME, lambda route: route.abort())
    os.kill(json.loads((data / "state.json").read_text())["processes"]["signalr"]["pid"], signal.SIGKILL)
    await expect(status(page)).to_have_text("Reconnecting")
    ids = await off_thread(api.submit_batch, [{"job_type": "test_task", "payload": {}}] * 120)
    await page.unroute(REALTIME)

    await expect(status(page)).to_have_text("Live", timeout=RECONNECT_MS)
    for job_id in (ids[-1], ids[-10]):
        await expect(row(page, job_id)).to_contain_text("completed")
    # All of them are there, and so is the end of the one that ran meanwhile.
    await off_thread(api.wait_for_end, running["job_id"])
    await page.get_by_label("Search the jobs").fill("completed")
    viewport = page.locator(".viewport")
    seen: set[str] = set()
    for _ in range(20):
        seen |= set(
            await page.evaluate("Array.from(document.querySelectorAll('[data-job-id]'), (each) => each.dataset.jobId)")
        )
        if seen.issuperset([*ids, running["job_id"]]):
            break
        await viewport.evaluate("each => { each.scrollTop += 600; }")
        await page.wait_for_timeout(100)
    assert seen.issuperset([*ids, running["job_id"]])
    # Pushes flow again.
    await page.get_by_label("Search the jobs").fill("")
    await viewport.evaluate("each => { each.scrollTop = 0; }")
    late = await off_thread(api.submit, "test_task", {})
    await expect(row(page, late["job_id"])).to_contain_text("completed")


async def test_without_signalr_the_list_is_read_again_and_says_so(
    page: Page, api: Client, complaints: Complaints
) -> None:
    complaints.expected.append("net::ERR_")
    await page.route(REALTIME, lambda route: route.abort())
    await page.goto("/#/jobs")
    await expect(status(page)).to_have_text("Reconnecting")

    job = await off_thread(api.submit, "test_task", {})

    await expect(row(page, job["job_id"])).to_contain_text("completed")
    await page.unroute(REALTIME)
    await expect(status(page)).to_have_text("Live")


async def test_without_the_api_the_page_says_so_and_recovers(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("net::ERR_")
    await page.route("**/api/**", lambda route: route.abort())
    await page.goto("/#/jobs")
    await expect(status(page)).to_have_text("Offline")
    await expect(page.get_by_role("alert")).to_contain_text("The API cannot be reached.")
    await page.goto("/#/")
    await expect(page.get_by_label("Health")).to_contain_text("In trouble")

    await page.unroute("**/api/**")
    await page.goto("/#/jobs")
    await page.get_by_role("button", name="Try again").click()
    await expect(status(page)).to_have_text("Live", timeout=RECONNECT_MS)
    await expect(page.get_by_role("alert")).to_be_hidden()


async def test_the_key_is_asked_for_once_and_kept_in_this_tab_only(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("status of 401")

    async def guard(route: Route) -> None:
        if route.request.headers.get("x-functions-key") == "right":
            await route.continue_()
        else:
            await route.fulfill(status=401)

    await page.route("**/api/v1/**", guard)
    await page.goto("/#/new")
    dialog = page.get_by_role("dialog", name="Function key")
    await dialog.get_by_role("textbox").fill("wrong")
    await dialog.get_by_role("button", name="Use this key").click()
    await expect(dialog).to_contain_text("refused")
    await dialog.get_by_role("textbox").fill("right")
    await dialog.get_by_role("button", name="Use this key").click()

    await expect(status(page)).to_have_text("Live")
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_label("The same in curl")).to_contain_text('-H "x-functions-key: $DTQ_KEY"')
    stored = await page.evaluate("({session: Object.values(sessionStorage), local: Object.values(localStorage)})")
    assert stored["session"] == ["right"]
    assert "right" not in stored["local"]
    assert "right" not in page.url
    await page.reload()
    await expect(status(page)).to_have_text("Live")
    await page.get_by_role("button", name="Submit job").click()
    await expect(state(page)).to_have_text("completed")
    await page.get_by_role("button", name="Help and shortcuts").click()
    await page.get_by_role("button", name="Forget the function key").click()
    assert await page.evaluate("sessionStorage.length") == 0


async def test_the_page_works_from_another_origin_with_the_api_address_of_its_config(
    page: Page, api: Client, stack_url: str
) -> None:
    """As from a static website of a storage account: the page comes from one origin, the API from another."""
    elsewhere = stack_url.replace("127.0.0.1", "localhost")

    async def config(route: Route) -> None:
        await route.fulfill(json={"apiBase": stack_url})

    async def with_cors(route: Route) -> None:
        # What Azure's CORS setting of the function app adds.
        headers = {
            "access-control-allow-origin": elsewhere,
            "access-control-allow-headers": "*",
            "access-control-allow-methods": "*",
        }
        if route.request.method == "OPTIONS":
            await route.fulfill(status=204, headers=headers)
            return
        response = await route.fetch()
        await route.fulfill(response=response, headers={**response.headers, **headers})

    await page.route("**/config.json", config)
    await page.route(f"{stack_url}/api/**", with_cors)
    job = await off_thread(api.submit, "test_task", {"result": "far away"})
    await page.goto(f"{elsewhere}/#/jobs/{job['job_id']}")
    await expect(status(page)).to_have_text("Live")
    await expect(result(page)).to_contain_text("far away")
    await page.goto(f"{elsewhere}/#/jobs")
    late = await off_thread(api.submit, "test_task", {})
    await expect(row(page, late["job_id"])).to_contain_text("completed")
    await expect(rows(page).first).to_be_visible()
