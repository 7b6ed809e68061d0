"""The list of jobs and the view of one: live, filtered, by keyboard, far back into history."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, Route, expect

from tests.e2e.page.browser import Complaints
from tests.e2e.page.client import Client, off_thread
from tests.e2e.page.pages import open_live, result, row, rows, shown_ids, state, toast

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("page")]

# Settles when the next frame has been shown.
FRAME = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


async def test_a_job_from_elsewhere_appears_on_top_and_ends_by_itself(page: Page, api: Client) -> None:
    await open_live(page, "jobs")

    job = await off_thread(api.submit, "test_task", {"result": "from outside"}, priority="high")

    mine = row(page, job["job_id"])
    await expect(mine).to_contain_text("completed")
    await expect(mine).to_contain_text("high")
    assert (await shown_ids(page))[0] == job["job_id"]
    await mine.click()
    await expect(result(page)).to_contain_text("from outside")


async def test_filters_are_in_the_address_and_survive_a_reload(page: Page, api: Client) -> None:
    tag = "only-here"
    await off_thread(api.submit, "test_task", {}, tags=[tag])
    failed = await off_thread(api.submit, "test_task", {"fail_permanently": True}, tags=[tag])
    await open_live(page, "jobs")
    await expect(row(page, failed["job_id"])).to_contain_text("failed")

    await page.get_by_label("State").select_option("failed")
    await row(page, failed["job_id"]).get_by_role("link", name=tag).click()

    await expect(page.get_by_label("State")).to_have_value("")
    await page.get_by_label("State").select_option("failed")
    await expect(rows(page)).to_have_count(1)
    await page.reload()
    await expect(rows(page)).to_have_count(1)
    await expect(page.get_by_label("State")).to_have_value("failed")
    assert "state=failed" in page.url
    assert f"tag={tag}" in page.url
    await page.get_by_role("button", name="Clear").click()
    await expect(rows(page)).not_to_have_count(1)
    await page.get_by_label("Search the jobs").fill(failed["job_id"])
    await expect(rows(page)).to_have_count(1)
    # A whole id is opened, wherever the job is.
    await page.keyboard.press("Enter")
    await expect(state(page)).to_have_text("failed")


async def test_a_job_that_leaves_the_filter_leaves_the_list(page: Page, api: Client) -> None:
    await open_live(page, "jobs?state=running")
    job = await off_thread(api.submit, "test_task", {"sleep_seconds": 1})
    await expect(row(page, job["job_id"])).to_be_visible()
    await expect(row(page, job["job_id"])).to_be_hidden()


async def test_a_new_filter_holds_at_once_for_the_jobs_known_already(page: Page, api: Client) -> None:
    job = await off_thread(api.submit, "test_task", {"fail_permanently": True}, tags=["before-the-answer"])
    other = await off_thread(api.submit, "test_task", {})
    await open_live(page, "jobs")
    await expect(row(page, job["job_id"])).to_contain_text("failed")
    await expect(row(page, other["job_id"])).to_contain_text("completed")
    asked, answer = asyncio.Event(), asyncio.Event()

    async def hold_back(route: Route) -> None:
        asked.set()
        await answer.wait()
        await route.continue_()

    await page.route(re.compile(r"/api/v1/jobs\?.*state=failed"), hold_back)
    await page.get_by_label("State").select_option("failed")
    await asyncio.wait_for(asked.wait(), 15)
    await expect(row(page, other["job_id"])).to_be_hidden()
    # A press gives the focus to the row, and with it holds the list still.
    await row(page, job["job_id"]).get_by_role("link", name="before-the-answer").click()
    await expect(page).to_have_url(re.compile("tag=before-the-answer"))
    answer.set()
    await page.get_by_label("Search the jobs").fill("no job has this")
    await page.evaluate(FRAME)
    assert await shown_ids(page) == []


async def test_a_row_does_not_move_away_under_a_press(page: Page, api: Client) -> None:
    await open_live(page, "jobs?state=running&tag=pressed")
    job = await off_thread(api.submit, "test_task", {"sleep_seconds": 60, "progress_steps": 600}, tags=["pressed"])
    await row(page, job["job_id"]).get_by_role("link", name="test_task").hover()
    await page.mouse.down()
    await off_thread(api.cancel, job["job_id"])
    # The page knows that the job has left the filter; its row waits for the press to end.
    await expect(page.locator(".count")).to_have_text("0 found among the jobs read so far")
    await page.evaluate(FRAME)
    await expect(row(page, job["job_id"])).to_be_visible()
    await page.mouse.up()

    await expect(state(page)).to_have_text("cancelled")
    await page.go_back()
    await expect(rows(page)).to_have_count(0)


async def test_everything_goes_by_keyboard(page: Page, api: Client) -> None:
    ids = await off_thread(api.submit_batch, [{"job_type": "test_task", "payload": {}}] * 3)
    await open_live(page, "jobs")
    await expect(row(page, ids[-1])).to_contain_text("completed")
    newest = await shown_ids(page)

    await page.keyboard.press("j")
    await expect(row(page, newest[0]).get_by_role("link").first).to_be_focused()
    await page.keyboard.press("j")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("k")
    await expect(row(page, newest[1]).get_by_role("link").first).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="test_task", level=1)).to_be_focused()
    assert newest[1] in page.url
    # Back is where one was.
    await page.go_back()
    await expect(row(page, newest[1]).get_by_role("link").first).to_be_focused()

    await page.keyboard.press("/")
    await expect(page.get_by_label("Search the jobs")).to_be_focused()
    await page.keyboard.type("n?")
    await expect(page.get_by_label("Search the jobs")).to_have_value("n?")
    await page.keyboard.press("Escape")
    await expect(page.get_by_label("Search the jobs")).not_to_be_focused()
    await expect(page.get_by_label("Search the jobs")).to_have_value("n?")
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Help")).to_be_visible()
    await page.get_by_label("Use shortcuts of a single letter").uncheck()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog", name="Help")).to_be_hidden()
    await page.keyboard.press("n")
    await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    await page.evaluate("localStorage.clear()")
    await page.keyboard.press("n")
    await expect(page.get_by_role("heading", name="New job", level=1)).to_be_focused()


async def test_old_jobs_are_read_on_while_the_list_stands_still(page: Page, api: Client) -> None:
    ids = await off_thread(api.submit_batch, [{"job_type": "test_task", "payload": {}}] * 230)
    await open_live(page, "jobs")
    await expect(row(page, ids[-1])).to_be_visible()
    assert len(await shown_ids(page)) < 60, "rows out of sight exist"

    viewport = page.locator(".viewport")
    for _ in range(8):
        await viewport.evaluate("each => { each.scrollTop = each.scrollHeight; }")
        if await row(page, ids[0]).is_visible():
            break
        await page.wait_for_timeout(150)
    await viewport.evaluate("(each, top) => { each.scrollTop = top; }", 38 * 200)
    await expect(row(page, ids[20])).to_be_visible()
    # The rows follow the scrolling in the next frame.
    await page.evaluate(FRAME)
    before = await shown_ids(page)

    job = await off_thread(api.submit, "test_task", {})
    await expect(page.get_by_role("button", name="1 new job, show")).to_be_visible()
    assert await shown_ids(page) == before
    await page.get_by_role("button", name="1 new job, show").click()
    await expect(row(page, job["job_id"])).to_be_visible()


async def test_a_long_job_is_watched_and_cancelled(page: Page, api: Client) -> None:
    job = await off_thread(api.submit, "test_task", {"sleep_seconds": 120, "progress_steps": 600})
    await open_live(page, f"jobs/{job['job_id']}")
    await expect(page.locator(".reports li").nth(2)).to_be_visible()
    await expect(page.get_by_label("Timeline")).to_contain_text("Attempt 1")

    await page.get_by_role("button", name="Cancel job").click()

    await expect(toast(page)).to_contain_text("asked to give way")
    await expect(state(page)).to_have_text("cancelled")
    await expect(page.get_by_role("button", name="Cancel job")).to_be_hidden()


async def test_attempts_and_waits_are_told_and_a_failed_job_is_retried(page: Page, api: Client) -> None:
    job = await off_thread(api.submit, "test_task", {"fail_times": 9}, max_retries=1)
    await open_live(page, f"jobs/{job['job_id']}")

    await expect(state(page)).to_have_text("failed", timeout=30_000)
    await expect(page.locator(".error-box")).to_contain_text("asked_to_fail")
    timeline = page.get_by_label("Timeline")
    await expect(timeline.locator("li .label")).to_have_text(
        ["Waited in the queue", "Attempt 1", "Waited to try again", "Attempt 2"]
    )
    await expect(timeline.locator(".why").first).to_contain_text("Failed attempt 1, as asked.")
    await page.get_by_role("button", name="Retry").click()
    await expect(toast(page)).to_contain_text("The job runs again.")
    await expect(timeline).to_contain_text("started again", timeout=30_000)


async def test_a_job_that_waits_shows_its_payload_and_what_failed_before_the_page_was_opened(
    page: Page, api: Client
) -> None:
    job = await off_thread(api.submit, "test_task", {"fail_times": 9, "result": "what was asked"}, max_retries=20)
    await off_thread(api.wait_for_attempt, job["job_id"])
    await open_live(page, f"jobs/{job['job_id']}")

    await expect(page.get_by_label("Payload").locator("pre")).to_contain_text("what was asked")
    await expect(page.get_by_label("Timeline").locator(".why").first).to_contain_text("Failed attempt 1, as asked.")
    await page.get_by_role("link", name="Run again with edits").click()
    await expect(page.get_by_label("Fail times")).to_have_value("9")
    await off_thread(api.cancel, job["job_id"])


async def test_a_result_is_downloaded(page: Page, api: Client) -> None:
    job = await off_thread(api.submit, "test_task", {"result": {"deep": [1, None]}})
    await open_live(page, f"jobs/{job['job_id']}")
    async with page.expect_download() as waiting:
        await page.get_by_role("button", name="Download the result").click()
    download = await waiting.value
    text = await asyncio.to_thread(Path(await download.path()).read_text)
    assert json.loads(text) == {"result": {"deep": [1, None]}, "attempt": 1}


async def test_a_link_to_an_unknown_job_says_so(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("status of 404")
    await open_live(page, "jobs/01900000-0000-7000-8000-000000000000")

    await expect(page.get_by_role("heading", name="No such job")).to_be_visible()
    await page.get_by_role("link", name="All jobs").click()
    await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
