"""What operators do: dead letters, pausing, purging; and the look that tells them whether they must."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.page.client import Client, off_thread
from tests.e2e.page.pages import open_live, row, state, toast

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("page")]

#: The figures are read again every ten seconds.
FIGURES_MS = 30_000


@pytest.fixture
def resumed(api: Client) -> Iterator[None]:
    """Whatever a test pauses goes on after it."""
    yield
    api.resume("/queues/low")
    api.resume("/job-types/quote")


def letter(page: Page, job_id: str) -> Locator:
    return page.get_by_label("Letters").locator("tbody tr", has_text=job_id[-12:])


async def test_a_selected_dead_letter_is_replayed(page: Page, api: Client) -> None:
    mine, other = [await off_thread(api.dead_job) for _ in range(2)]
    await open_live(page, "dead-letters")
    await expect(letter(page, other)).to_be_visible()
    await expect(page.get_by_role("button", name="Replay selected")).to_be_disabled()

    await letter(page, mine).get_by_role("checkbox").check()
    await page.get_by_role("button", name="Replay selected (1)").click()
    dialog = page.get_by_role("dialog", name="Replay 1 dead letter?")
    await dialog.get_by_role("button", name="Replay 1 dead letter").click()

    await expect(toast(page)).to_contain_text("Replayed 1.", timeout=FIGURES_MS)
    await page.goto(f"/#/jobs/{mine}")
    await expect(page.get_by_label("Timeline")).to_contain_text("started again", timeout=FIGURES_MS)
    await page.goto(f"/#/jobs/{other}")
    await expect(state(page)).to_have_text("failed")
    await expect(page.get_by_label("Timeline")).not_to_contain_text("started again")


async def test_a_purge_counts_first_and_can_be_called_off(page: Page, api: Client) -> None:
    first, second = [await off_thread(api.dead_job) for _ in range(2)]
    await open_live(page, "dead-letters?reason=asked_to_fail")
    await expect(page.get_by_label("Reason")).to_have_value("asked_to_fail")
    for job_id in (first, second):
        await letter(page, job_id).get_by_role("checkbox").check()
    purge = page.get_by_role("button", name="Purge selected (2)")
    await purge.click()
    dialog = page.get_by_role("dialog", name="Purge 2 dead letters?")
    await dialog.get_by_role("button", name="Not now").click()
    await expect(toast(page)).to_contain_text("Nothing was done.")
    await expect(letter(page, first)).to_be_visible()

    await purge.click()
    await dialog.get_by_role("button", name="Purge 2 dead letters").click()

    await expect(toast(page)).to_contain_text("Purged 2.", timeout=FIGURES_MS)
    await expect(letter(page, first)).to_be_hidden()
    await expect(letter(page, second)).to_be_hidden()


@pytest.mark.usefixtures("resumed")
async def test_a_queue_is_paused_emptied_and_resumed(page: Page, api: Client) -> None:
    await open_live(page, "queues")
    await page.get_by_role("button", name="Pause low queue").click()
    dialog = page.get_by_role("dialog", name="Pause low queue?")
    await dialog.get_by_role("textbox").fill("spring cleaning")
    await dialog.get_by_role("button", name="Pause").click()

    now = page.get_by_label("Now", exact=True).locator("tr", has_text="low")
    await expect(toast(page)).to_contain_text("Paused low queue.")
    await expect(now).to_contain_text("paused")
    await expect(now).to_contain_text("spring cleaning")
    waiting = await off_thread(api.submit, "test_task", {}, priority="low")
    await page.goto("/#/")
    await expect(page.get_by_label("Health")).to_contain_text("The low queue is paused", timeout=FIGURES_MS)
    await expect(page.get_by_label("Health")).to_contain_text("spring cleaning")

    await page.goto("/#/queues")
    cancel_all = page.get_by_role("button", name="Cancel all waiting jobs of the low queue")
    await cancel_all.click(timeout=FIGURES_MS)
    await page.get_by_role("button", name="Cancel 1 waiting job", exact=False).click()
    await expect(toast(page)).to_contain_text("Cancelled 1 job", timeout=FIGURES_MS)
    assert (await off_thread(api.job, waiting["job_id"]))["state"] == "cancelled"

    await page.get_by_role("button", name="Resume low queue").click()
    await expect(toast(page)).to_contain_text("Resumed low queue.", timeout=FIGURES_MS)
    await expect(now).not_to_contain_text("paused")
    operations = page.get_by_label("Operations", exact=True).first
    await expect(operations).to_contain_text("queue.pause")
    await expect(operations).to_contain_text("queue.resume")
    job = await off_thread(api.submit, "test_task", {}, priority="low")
    await page.goto("/#/jobs")
    await expect(row(page, job["job_id"])).to_contain_text("completed", timeout=FIGURES_MS)


@pytest.mark.usefixtures("resumed")
async def test_a_job_type_is_paused_and_resumed(page: Page) -> None:
    await open_live(page, "queues")
    quote = page.get_by_label("Job types", exact=True).first.locator("tr", has_text="quote")
    await page.get_by_role("button", name="Pause quote").click()
    await page.get_by_role("dialog").get_by_role("button", name="Pause").click()
    await expect(quote).to_contain_text("paused")
    await page.get_by_role("button", name="Resume quote").click()
    await expect(quote).not_to_contain_text("paused")


async def test_the_overview_counts_and_the_charts_have_their_figures(page: Page, api: Client) -> None:
    await off_thread(api.submit, "test_task", {"fail_permanently": True})
    await open_live(page, "")
    await expect(page.get_by_label("Latest failures").first).to_contain_text("asked_to_fail", timeout=FIGURES_MS)
    await expect(page.get_by_label("Job types").first).to_contain_text("test_task", timeout=FIGURES_MS)
    await expect(page.locator(".verdict .word")).to_be_visible(timeout=FIGURES_MS)
    chart = page.get_by_label("Jobs a minute", exact=True)
    await expect(chart.locator("canvas")).to_be_visible()
    await chart.get_by_text("The figures as a table").click()
    await expect(chart.locator("tbody tr")).to_have_count(60)


async def test_instances_tell_what_they_run(page: Page, api: Client) -> None:
    job = await off_thread(api.submit, "test_task", {"sleep_seconds": 60, "progress_steps": 600})
    await open_live(page, "queues")
    await expect(page.get_by_label("Instances", exact=True).first).to_contain_text("test_task", timeout=FIGURES_MS)
    await off_thread(api.cancel, job["job_id"])
