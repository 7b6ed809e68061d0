"""The page in a real browser on the real stack: what a person sees, and that it moves by itself."""

from __future__ import annotations

import asyncio
import re
from typing import Literal

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.page.browser import Complaints
from tests.e2e.page.client import Client

# One stack and one browser for all of them, in one process of pytest-xdist.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("stack")]

JOB_TYPES = ["exchange_rate", "github_user", "quote", "test_task", "weather"]
Scheme = Literal["light", "dark"]

REALTIME = "**/api/v1/realtime/negotiate*"


async def open_live(page: Page, address: str = "/") -> None:
    """Open the page and wait until it is connected and has its form."""
    await page.goto(address)
    await expect(page.get_by_role("status")).to_have_text("Live")
    await expect(page.locator("#job-type")).to_be_attached()


async def submit(page: Page, job_type: str, fields: dict[str, str] | None = None) -> None:
    """Choose a type, change the named fields of its example and press the button."""
    await page.get_by_label("Job type").select_option(job_type)
    for label, text in (fields or {}).items():
        await page.get_by_label(label).fill(text)
    await page.get_by_role("button", name="Submit job").click()


async def watch_percent(page: Page) -> None:
    """From now on, note each percentage that the selected job's bar shows."""
    await page.evaluate("""() => {
      window.percents = [];
      const note = () => {
        const bar = document.querySelector("job-detail > .progress progress");
        if (bar !== null && bar.value !== window.percents.at(-1)) window.percents.push(bar.value);
      };
      new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
    }""")


async def seen_percents(page: Page) -> list[int]:
    """The percentages above nought that the bar has shown, in order."""
    return [percent for percent in await page.evaluate("window.percents") if percent > 0]


def detail(page: Page) -> Locator:
    return page.get_by_role("region", name="Selected job")


def row(page: Page, job_id: str) -> Locator:
    return page.locator(f'tr[data-job-id="{job_id}"]')


@pytest.mark.usefixtures("slow_weather")
async def test_weather_moves_and_ends_with_the_temperature(page: Page) -> None:
    await open_live(page)
    await watch_percent(page)

    await submit(page, "weather", {"City": "Austin"})

    await expect(detail(page).locator(".detail-head .chip")).to_have_text("completed")
    result = detail(page).get_by_label("Result", exact=True)
    await expect(result).to_contain_text(re.compile(r'"city": "Austin"[\s\S]*"temperature": -?\d'))
    await expect(detail(page).locator(".timeline .percent").first).to_have_text("20 %")
    assert await seen_percents(page) == [20, 50, 80, 100]

    # The address alone leads back to it.
    await page.reload()
    await expect(result).to_contain_text('"temperature"')


async def test_a_long_job_shows_each_step_as_it_happens(page: Page) -> None:
    await open_live(page)
    await watch_percent(page)

    await submit(page, "test_task", {"Sleep seconds": "2", "Progress steps": "4"})

    await expect(detail(page).locator(".detail-head .chip")).to_have_text("completed")
    assert await seen_percents(page) == [20, 50, 80, 100]


async def test_the_form_offers_every_type(page: Page, api: Client) -> None:
    await open_live(page)
    assert set(await page.get_by_label("Job type").locator("option").all_inner_texts()) == set(JOB_TYPES)
    assert await asyncio.to_thread(api.job_types) == set(JOB_TYPES)


@pytest.mark.parametrize("job_type", JOB_TYPES)
async def test_the_example_of_every_type_completes(page: Page, job_type: str) -> None:
    await open_live(page)

    await submit(page, job_type)

    await expect(detail(page).get_by_role("heading", name=job_type)).to_be_visible()
    await expect(detail(page).locator(".detail-head .chip")).to_have_text("completed")
    await expect(detail(page).get_by_label("Result", exact=True)).to_contain_text("{")


async def test_a_refused_value_is_told_at_its_field(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("status of 422")
    await open_live(page)

    await submit(page, "weather", {"Country code": "U$A"})

    field = page.get_by_label("Country code")
    await expect(page.locator("#field-country_code-error")).not_to_be_empty()
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()
    await field.fill("US")
    await expect(page.locator("#field-country_code-error")).to_be_empty()


async def test_a_missing_value_is_told_without_asking_the_api(page: Page) -> None:
    await open_live(page)

    await submit(page, "weather", {"City": ""})

    await expect(page.locator("#field-city-error")).to_have_text("This field is required.")
    await expect(page.get_by_label("City")).to_be_focused()


async def test_a_link_to_an_unknown_job_says_so(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("status of 404")
    await open_live(page, "/#/jobs/01900000-0000-7000-8000-000000000000")

    await expect(detail(page).get_by_role("heading", name="No such job")).to_be_visible()
    await detail(page).get_by_role("link", name="All jobs").click()
    await expect(detail(page)).to_contain_text("Select a job")


async def test_a_job_from_elsewhere_appears_and_ends_by_itself(page: Page, api: Client) -> None:
    await open_live(page)

    job = await asyncio.to_thread(api.submit, "test_task", {"result": "from outside"}, priority="high")

    mine = row(page, job["job_id"])
    await expect(mine).to_contain_text("completed")
    await expect(mine).to_contain_text("high")
    assert await page.locator("tbody tr").first.get_attribute("data-job-id") == job["job_id"]
    await mine.click()
    await expect(detail(page).get_by_label("Result", exact=True)).to_contain_text("from outside")


async def test_a_failed_job_shows_why(page: Page, api: Client) -> None:
    await open_live(page)

    job = await asyncio.to_thread(api.submit, "test_task", {"fail_permanently": True})

    await expect(row(page, job["job_id"])).to_contain_text("failed")
    await row(page, job["job_id"]).get_by_role("link").press("Enter")
    await expect(detail(page).locator(".error-box")).to_contain_text("asked_to_fail")


async def test_without_signalr_the_list_is_read_again_and_says_so(
    page: Page, api: Client, complaints: Complaints
) -> None:
    complaints.expected.append("net::ERR_")
    await page.route(REALTIME, lambda route: route.abort())
    await page.goto("/")
    await expect(page.get_by_role("status")).to_have_text("Reconnecting")

    job = await asyncio.to_thread(api.submit, "test_task", {})

    await expect(row(page, job["job_id"])).to_contain_text("completed")
    await page.unroute(REALTIME)
    await expect(page.get_by_role("status")).to_have_text("Live")


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (800, "light"), (1200, "dark")])
async def test_the_page_fits_its_window(page: Page, api: Client, width: int, scheme: Scheme) -> None:
    job = await asyncio.to_thread(api.submit, "weather", {"city": "Austin"})
    await page.set_viewport_size({"width": width, "height": 844})
    await page.emulate_media(color_scheme=scheme)
    for address in ("/", f"/#/jobs/{job['job_id']}"):
        await open_live(page, address)
        await expect(page.locator("main")).to_be_visible()
        assert await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    ground = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    channels = [int(number) for number in re.findall(r"\d+", ground)[:3]]
    assert (sum(channels) < 3 * 64) == (scheme == "dark"), ground
