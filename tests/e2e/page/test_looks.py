"""How every view looks: accessible (axe: WCAG 2.2 A and AA), in both colour schemes, in windows of any width."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.browser import Complaints
from tests.e2e.page.client import Client, off_thread
from tests.e2e.page.pages import open_live, state
from tests.services import ROOT

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("page")]

Scheme = Literal["light", "dark"]
AXE = ROOT / "static-ui/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
#: In CSS pixels. A check box may be smaller than 24, for its label or the space around it belongs to the target; axe
#: judges that.
SMALLEST_TEXT = 12
SMALLEST_CONTROL = 18


@pytest.fixture(scope="session")
def addresses(stack_url: str) -> Iterator[dict[str, str]]:
    """Every view, with something in it."""
    api = Client(stack_url)
    done = api.submit("weather", {"city": "Austin"}, tags=["nightly"])["job_id"]
    running = api.submit("test_task", {"sleep_seconds": 290, "progress_steps": 290})["job_id"]
    yield {
        "overview": "",
        "jobs": "jobs",
        "nothing found": "jobs?text=nothing-has-this",
        "a job that runs": f"jobs/{running}",
        "a completed job": f"jobs/{done}",
        "a failed job": f"jobs/{api.dead_job()}",
        "queues": "queues",
        "dead letters": "dead-letters",
        "new job": "new",
        "a batch": "new?mode=batch",
        "nothing": "no/such/view",
    }
    api.cancel(running)


async def show(page: Page, address: str) -> None:
    """Open a view and wait until nothing of it is loading."""
    await open_live(page, address)
    await expect(page.locator(".loading")).to_have_count(0, timeout=30_000)


async def violations(page: Page) -> list[str]:
    """What axe finds, a line each."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(await asyncio.to_thread(AXE.read_text))
    found: list[dict[str, Any]] = await page.evaluate(
        "async (tags) => (await axe.run({ runOnly: tags, resultTypes: ['violations'] })).violations", RULES
    )
    return [f"{each['id']}: {node['target']} {node['failureSummary']}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_axe_finds_nothing_on_any_view(page: Page, addresses: dict[str, str], scheme: Scheme) -> None:
    await page.emulate_media(color_scheme=scheme)
    for name, address in addresses.items():
        await show(page, address)
        assert await violations(page) == [], name
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    assert await violations(page) == [], "help"
    async with page.expect_popup() as opened:
        await page.get_by_role("link", name="The HTTP API").click()
    await expect((await opened.value).get_by_role("heading", name="DTQ: the HTTP API")).to_be_visible()
    await (await opened.value).close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_about_the_api_fits_and_axe_finds_nothing_on_it(page: Page, scheme: Scheme) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto("/api/docs")
    await expect(page.get_by_role("heading", name="Submit a job", exact=True)).to_be_visible()
    assert await page.evaluate("getComputedStyle(document.body).maxWidth") == "960px", "the policy refused the style"
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await violations(page) == []


@pytest.mark.parametrize("width", [390, 800, 1920])
async def test_every_view_fits_its_window(page: Page, addresses: dict[str, str], width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 844})
    for name, address in addresses.items():
        await show(page, address)
        assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
        small = await page.evaluate(
            """([text, target]) => {
              const small = [];
              for (const each of document.querySelectorAll("body *")) {
                if (!each.checkVisibility()) continue;
                const hasText = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
                if (hasText && parseFloat(getComputedStyle(each).fontSize) < text) small.push(each.outerHTML);
                const { width, height } = each.getBoundingClientRect();
                const isSmall = Math.min(width, height) < target;
                if (each.matches("button, select, input") && isSmall) small.push(each.outerHTML);
              }
              return small;
            }""",
            [SMALLEST_TEXT, SMALLEST_CONTROL],
        )
        assert small == [], name


async def test_colours_follow_the_system_until_one_chooses(page: Page) -> None:
    async def is_dark() -> bool:
        ground = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        return sum(int(number) for number in re.findall(r"\d+", ground)[:3]) < 3 * 64

    await page.emulate_media(color_scheme="dark")
    await open_live(page)
    assert await is_dark()
    await page.get_by_role("button", name="Auto colours").click()
    await expect(page.get_by_role("button", name="Light", exact=True)).to_be_visible()
    assert not await is_dark()
    await page.reload()
    assert not await is_dark()
    await page.get_by_role("button", name="Light", exact=True).click()
    await page.emulate_media(color_scheme="light")
    assert await is_dark()


async def test_nothing_jumps_while_a_job_runs_to_its_end(page: Page, api: Client) -> None:
    job = await off_thread(api.submit, "test_task", {"sleep_seconds": 2, "progress_steps": 4, "result": "done"})
    await page.goto("/#/")
    await page.evaluate("""() => {
      window.shift = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
      }).observe({ type: "layout-shift" });
    }""")
    await page.goto(f"/#/jobs/{job['job_id']}")
    await expect(state(page)).to_have_text("completed")
    await expect(page.get_by_label("Result", exact=True).locator("pre")).to_be_visible()
    # "Good" by https://web.dev/articles/cls.
    assert await page.evaluate("window.shift") < 0.1


async def test_the_policy_lets_no_foreign_script_run(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("TrustedHTML")
    await open_live(page)
    policy = await page.locator('meta[http-equiv="Content-Security-Policy"]').get_attribute("content")
    assert policy is not None
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    # Markup that is made from text is refused, whatever it holds.
    refused = await page.evaluate("""() => {
      try { document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='window.hacked = 1'>"); }
      catch (error) { return error.name; }
      return "";
    }""")
    assert refused == "TypeError"
    assert await page.locator("[style][onload], script:not([src])").count() == 0
