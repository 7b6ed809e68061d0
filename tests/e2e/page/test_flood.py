"""Jobs arriving faster than anybody reads: the list keeps up, stays right, and does not grow without end."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, CDPSession, Page, expect

from tests.e2e.page.browser import Complaints
from tests.e2e.page.feeder import Feeder, serving
from tests.e2e.page.pages import rows, shown_ids, status
from tests.services import Service, running

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.xdist_group("page")]

KEY = "An0therAccessKeyOfFortyFourCharactersInAll0="
#: Seconds until the last push has arrived and is rendered.
SETTLE_MS = 30_000
#: A frame's work must fit into this, in milliseconds.
SLOWEST_FRAME = 100
#: What tells of each task of a page's main thread, with the processor time that it took.
TRACED = ["toplevel", "disabled-by-default-devtools.timeline"]


@pytest.fixture
def signalr() -> Iterator[Service]:
    with running("signalr", "--port", "0", env={"SIGNALR_KEY": KEY}) as service:
        yield service


@pytest.fixture(autouse=True)
def lacking(complaints: Complaints) -> None:
    """The feeder has the listing and SignalR, nothing else of the API."""
    complaints.expected.append("status of 404")


async def used_heap(session: CDPSession) -> int:
    """Bytes of the page's heap after a collection."""
    await session.send("HeapProfiler.collectGarbage")
    usage: dict[str, int] = await session.send("Runtime.getHeapUsage")
    return usage["usedSize"]


def longest_task(trace: bytes) -> float:
    """The most processor time that one task of the page's main thread took, in milliseconds.

    All work of a frame is one task. Its processor time is the page's own; what it lasted is also what the machine's
    other work made of it, which on a busy machine can be tenfold.
    """
    events = json.loads(trace)["traceEvents"]
    mains = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = [
        event["tdur"] / 1000
        for event in events
        if event["name"] == "RunTask" and "tdur" in event and (event["pid"], event["tid"]) in mains
    ]
    assert len(tasks) > 1000, "the trace is empty"
    return float(max(tasks))


async def all_ids(page: Page) -> list[str]:
    """The ids of the whole list in its order, read by scrolling through it to the end of history."""
    seen: dict[str, None] = {}
    viewport = page.locator(".viewport")
    for _ in range(2_000):
        at_end = await viewport.evaluate("""async (each) => {
          const end = each.scrollTop + each.clientHeight >= each.scrollHeight - 1;
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          return end && document.querySelector(".older") === null;
        }""")
        seen.update(dict.fromkeys(await shown_ids(page)))
        if at_end:
            return list(seen)
        await viewport.evaluate("each => { each.scrollTop += each.clientHeight; }")
    raise AssertionError("the list has no end")


async def test_a_fast_stream_leaves_a_list_that_is_right(page: Page, signalr: Service) -> None:
    feeder = Feeder(signalr, KEY)
    async with serving(feeder) as address:
        await page.goto(f"{address}/#/jobs")
        await expect(status(page)).to_have_text("Live")

        await feeder.feed(600, rate=300)

        newest = feeder.newest()[0].job_id
        await expect(page.locator(f'[data-job-id="{newest}"]')).to_contain_text("completed", timeout=SETTLE_MS)
        await expect(rows(page).filter(has_not_text="completed")).to_have_count(0, timeout=SETTLE_MS)
        assert await rows(page).count() < 60, "rows out of sight exist"
        assert await all_ids(page) == [job.job_id for job in feeder.newest()]


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_5000_jobs_at_200_a_second_are_smooth_and_memory_is_steady(
    browser: Browser, page: Page, signalr: Service
) -> None:
    feeder = Feeder(signalr, KEY)
    session = await page.context.new_cdp_session(page)
    async with serving(feeder) as address:
        await page.goto(f"{address}/#/jobs")
        await expect(status(page)).to_have_text("Live")

        await browser.start_tracing(page=page, categories=TRACED)
        await feeder.feed(5_000, rate=200)
        slowest = longest_task(await browser.stop_tracing())
        await expect(rows(page).filter(has_not_text="completed")).to_have_count(0, timeout=SETTLE_MS)
        after_5000 = await used_heap(session)
        await feeder.feed(5_000, rate=400)
        await expect(rows(page).filter(has_not_text="completed")).to_have_count(0, timeout=SETTLE_MS)
        after_10000 = await used_heap(session)

        print(f"slowest frame {slowest:.0f} ms; heap {after_5000 / 2**20:.1f}, then {after_10000 / 2**20:.1f} MiB")
        assert slowest < SLOWEST_FRAME
        # Between two prunings the page holds 2,000 to 3,000 jobs of about 1 KiB.
        assert after_10000 < after_5000 + 4 * 2**20
        await page.reload()
        await expect(status(page)).to_have_text("Live")
        assert await all_ids(page) == [job.job_id for job in feeder.newest()]
