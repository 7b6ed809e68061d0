"""What a person does and looks for on the page."""

from __future__ import annotations

from playwright.async_api import Locator, Page, expect

JOB_TYPES = ["exchange_rate", "github_user", "quote", "test_task", "weather"]


async def open_live(page: Page, address: str = "") -> None:
    """Open a view and wait until the page is connected."""
    await page.goto(f"/#/{address}")
    await expect(status(page)).to_have_text("Live")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()


async def submit(page: Page, job_type: str, fields: dict[str, str] | None = None) -> None:
    """Choose a type in the form, change the named fields of its example and press the button."""
    await page.get_by_label("Job type").select_option(job_type)
    for label, text in (fields or {}).items():
        field = page.get_by_label(label, exact=False).first
        if await field.evaluate("each => each.tagName") == "SELECT":
            await field.select_option(text)
        else:
            await field.fill(text)
    await page.get_by_role("button", name="Submit job").click()


def status(page: Page) -> Locator:
    return page.locator(".tools [role=status]")


def toast(page: Page) -> Locator:
    return page.locator(".toast")


def state(page: Page) -> Locator:
    """The state of the job that is looked at."""
    return page.locator(".job-now .chip")


def result(page: Page) -> Locator:
    return page.get_by_label("Result", exact=True).locator("pre")


def row(page: Page, job_id: str) -> Locator:
    return page.locator(f'[data-job-id="{job_id}"]')


def rows(page: Page) -> Locator:
    return page.locator("[data-job-id]")


async def shown_ids(page: Page) -> list[str]:
    """The ids of the rows that exist, from top to bottom."""
    ids: list[str] = await page.evaluate(
        "Array.from(document.querySelectorAll('[data-job-id]'), (row) => row.dataset.jobId)"
    )
    return ids
