"""Submitting jobs on the page: one of each type, with options, as a batch, again with edits; and from a program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page.browser import Complaints
from tests.e2e.page.client import Client, off_thread
from tests.e2e.page.pages import JOB_TYPES, open_live, result, state, submit, toast

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("page")]


async def watch_percent(page: Page) -> None:
    """From now on, note each percentage that the job's bar shows."""
    await page.evaluate("""() => {
      window.percents = [];
      const note = () => {
        const bar = document.querySelector(".job-now progress");
        if (bar !== null && bar.value !== window.percents.at(-1)) window.percents.push(bar.value);
      };
      new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
    }""")


async def seen_percents(page: Page) -> list[int]:
    """The percentages above nought that the bar has shown, in order."""
    return [percent for percent in await page.evaluate("window.percents") if percent > 0]


async def test_the_form_offers_every_type(page: Page, api: Client) -> None:
    await open_live(page, "new")
    await expect(page.get_by_label("Job type").locator("option")).to_have_count(len(JOB_TYPES))
    assert set(await page.get_by_label("Job type").locator("option").all_inner_texts()) == set(JOB_TYPES)
    assert await off_thread(api.job_types) == set(JOB_TYPES)


@pytest.mark.parametrize("job_type", JOB_TYPES)
async def test_the_example_of_every_type_completes(page: Page, job_type: str) -> None:
    await open_live(page, "new")

    await submit(page, job_type)

    await expect(page.get_by_role("heading", name=job_type, level=1)).to_be_visible()
    await expect(state(page)).to_have_text("completed")
    await expect(result(page)).to_contain_text("{")


@pytest.mark.usefixtures("slow_weather")
async def test_weather_moves_and_ends_with_the_temperature(page: Page) -> None:
    await open_live(page, "new")
    await watch_percent(page)

    await submit(page, "weather", {"City": "Austin"})

    await expect(state(page)).to_have_text("completed")
    await expect(result(page)).to_contain_text(re.compile(r'"city": "Austin"[\s\S]*"temperature": -?\d'))
    await expect(page.locator(".reports .percent")).to_have_text(["20 %", "50 %", "80 %", "100 %"])
    # Between 80 and 100 the result is stored, which may take less than a frame.
    assert [percent for percent in await seen_percents(page) if percent != 80] == [20, 50, 100]
    # The address alone leads back to it.
    await page.reload()
    await expect(result(page)).to_contain_text('"temperature"')


async def test_options_reach_the_job_and_a_waiting_job_is_cancelled(page: Page) -> None:
    await open_live(page, "new")

    await submit(
        page, "test_task", {"Delay seconds": "3600", "Max retries": "0", "Tags": "nightly, blue", "Priority": "low"}
    )

    await expect(state(page)).to_have_text("scheduled")
    details = page.get_by_label("Details")
    await expect(details).to_contain_text("low")
    await expect(details).to_contain_text("none yet, 1 at most")
    await expect(details.get_by_role("link", name="nightly")).to_be_visible()
    await expect(details).to_contain_text("in 59 min")
    await page.get_by_role("button", name="Cancel job").click()
    await expect(state(page)).to_have_text("cancelled")
    await expect(toast(page)).to_contain_text("The job is cancelled.")


async def test_a_refused_value_is_told_at_its_field(page: Page, complaints: Complaints) -> None:
    complaints.expected.append("status of 422")
    await open_live(page, "new")

    await submit(page, "weather", {"Country code": "U$A"})

    field = page.get_by_label("Country code")
    await expect(page.locator("#payload-country_code-error")).not_to_be_empty()
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_be_focused()
    await field.fill("US")
    await expect(page.locator("#payload-country_code-error")).to_be_empty()


async def test_what_is_plainly_wrong_is_told_without_asking_the_api(page: Page) -> None:
    await open_live(page, "new")

    await submit(page, "weather", {"City": "", "Max retries": "many"})

    await expect(page.locator("#payload-city-error")).to_have_text("This field is required.")
    await expect(page.locator("#options-max_retries-error")).to_have_text("This is not a number.")
    await expect(page.get_by_label("City")).to_be_focused()


@pytest.mark.parametrize("language", ["curl", "dtq"])
async def test_the_shown_command_does_what_the_form_does(page: Page, api: Client, language: str) -> None:
    await open_live(page, "new")
    await page.get_by_label("Job type").select_option("test_task")
    await page.get_by_label("Result").fill('"it\'s $HOME"')
    await page.get_by_role("button", name=language, exact=True).click()
    code = await page.get_by_label(f"The same in {language}").inner_text()

    # Where the interpreter of the tests lies, `dtq` is installed too.
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    command = ["sh", "-c", code]
    ran = await off_thread(subprocess.run, command, capture_output=True, text=True, timeout=30, check=True, env=env)

    match = re.search(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", ran.stdout)
    assert match is not None, ran.stdout
    await page.goto(f"/#/jobs/{match[0]}")
    await expect(result(page)).to_contain_text("it's $HOME")


async def test_a_batch_is_pasted_and_one_bad_job_does_not_spoil_it(page: Page) -> None:
    await open_live(page, "new?mode=batch")
    button = page.get_by_role("button", name="Submit the batch")
    await expect(button).to_be_disabled()
    text = page.get_by_label("Jobs", exact=True)
    await text.fill('{"job_type": "test_task", "payload": {}}\noops')
    await expect(page.get_by_text("Line 2 is not JSON")).to_be_visible()

    await text.fill(
        '{"job_type": "test_task", "payload": {}}\n{"job_type": "nothing", "payload": {}}\n'
        '{"job_type": "test_task", "payload": {"sleep_seconds": "long"}}'
    )
    await expect(page.get_by_text("3 jobs")).to_be_visible()
    await button.click()

    answer = page.get_by_label("1 accepted, 2 refused")
    await expect(answer.locator("tbody tr")).to_have_count(3)
    await expect(answer).to_contain_text("No job type is named 'nothing'")
    await answer.get_by_role("link").click()
    await expect(state(page)).to_have_text("completed")


async def test_an_ended_job_runs_again_with_edits(page: Page, api: Client) -> None:
    job = await off_thread(api.submit, "test_task", {"result": "first"}, priority="high", tags=["again"])
    await open_live(page, f"jobs/{job['job_id']}")
    await expect(result(page)).to_contain_text("first")

    await page.get_by_role("link", name="Run again with edits").click()
    await expect(page.get_by_label("Result")).to_have_value('"first"')
    await expect(page.get_by_label("Priority")).to_have_value("high")
    await expect(page.get_by_label("Tags")).to_have_value("again")
    await page.get_by_label("Result").fill('"second"')
    await page.get_by_role("button", name="Submit job").click()

    await expect(result(page)).to_contain_text("second")
    assert job["job_id"] not in page.url
