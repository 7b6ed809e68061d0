"""Measure the queue on a stack of its own: 2,000 no-op jobs in batches, then single submissions at a steady rate.

`python -m bench [--jobs 2000] [--workers N] [--layout shared|flex]`. The baseline is what one process does with the
very SDK calls that a job costs (table insert and two merges, a document, a message sent and completed) and nothing
around them. The queue's speed is given as a ratio to it, measured in the same run against the same services. The queue
has two processes, one for HTTP and one for jobs, so the ratio may exceed 1.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from datetime import datetime
from typing import Any

import aiohttp

from bench.api import get_job, list_jobs
from bench.baseline import baseline_rate
from bench.stack import Stack, running_stack

NO_OP = {"job_type": "test_task", "payload": {}}
BATCH = 1000
STEADY_RATE = 20
STEADY_SECONDS = 15
PATIENCE = 180
ENDED = frozenset({"completed", "failed", "cancelled"})


def say(text: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def main(argv: list[str]) -> int:
    """Run all parts and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--workers", default="1")
    parser.add_argument("--layout", default="shared")
    options = parser.parse_args(argv)
    with running_stack("--workers", options.workers, "--layout", options.layout) as stack:
        async with aiohttp.ClientSession(f"{stack.url}/api/v1/") as session:
            await wait_for_all(session, await submit_in_batches(session, 50))  # everything has run once
            await throughput(stack, session, options.jobs)
            await steady(session)
    return 0


async def throughput(stack: Stack, session: aiohttp.ClientSession, count: int) -> None:
    """Batch submit rate, end-to-end rate, CPU by process and the ratio to the baseline."""
    before = stack.cpu_seconds()
    begin = time.perf_counter()
    ids = await submit_in_batches(session, count)
    submitted = time.perf_counter() - begin
    await wait_for_all(session, ids)
    ended = time.perf_counter() - begin
    used = {name: seconds - before[name] for name, seconds in stack.cpu_seconds().items()}
    baseline = await baseline_rate(stack.settings, count)
    say(f"batch submit       {count / submitted:8.0f} jobs/s   ({count} jobs in {submitted:.2f} s)")
    say(f"end to end         {count / ended:8.0f} jobs/s   ({count} no-op jobs completed in {ended:.2f} s)")
    say(f"baseline           {baseline:8.0f} jobs/s   (the same SDK calls by one process, nothing else)")
    say(f"ratio              {count / ended / baseline:8.2f}            (end to end to baseline)")
    say(f"CPU seconds        {sum(used.values()):8.2f}          ({sum(used.values()) / count * 1000:.1f} ms a job)")
    for name, seconds in sorted(used.items(), key=lambda row: -row[1]):
        say(f"  {name:<16} {seconds:8.2f}          ({seconds / count * 1000:.2f} ms a job)")
    say(f"memory             {sum(stack.rss_mib().values()):8.0f} MiB")


async def steady(session: aiohttp.ClientSession) -> None:
    """Latency of single submissions at a steady rate, and how long until each job starts."""
    count = STEADY_RATE * STEADY_SECONDS
    begin = asyncio.get_running_loop().time()
    answers = await asyncio.gather(*(_submit_at(session, begin + n / STEADY_RATE) for n in range(count)))
    latencies = [latency for latency, _ in answers]
    starts = [await _seconds_to_start(session, job["job_id"]) for _, job in answers]
    say(f"\nPOST /jobs at {STEADY_RATE}/s for {STEADY_SECONDS} s")
    say(f"  answer           {_spread(latencies)}")
    say(f"  accepted-to-start{_spread(starts)}")


async def submit_in_batches(session: aiohttp.ClientSession, count: int) -> list[str]:
    """Submit no-op jobs, 1,000 a call; their ids."""
    ids: list[str] = []
    while len(ids) < count:
        body = {"jobs": [NO_OP] * min(BATCH, count - len(ids))}
        async with session.post("jobs/batch", json=body) as answer:
            answer.raise_for_status()
            ids += [row["job"]["job_id"] for row in (await answer.json())["results"]]
    return ids


async def wait_for_all(session: aiohttp.ClientSession, ids: list[str]) -> None:
    """Return when all have completed. Raises RuntimeError for one that failed, TimeoutError after PATIENCE seconds."""
    async with asyncio.timeout(PATIENCE):
        # Point reads of single jobs, newest first: a listing makes the table service scan, at the jobs' expense.
        for job_id in reversed(ids[-50:]):
            while (await get_job(session, job_id))["state"] not in ENDED:
                pass
        left = set(ids)
        while left:
            left -= {job["job_id"] async for job in list_jobs(session, state="completed")}
            async for job in list_jobs(session, state="failed"):
                raise RuntimeError(f"job {job['job_id']} failed: {job['error']}")


async def _submit_at(session: aiohttp.ClientSession, when: float) -> tuple[float, dict[str, Any]]:
    await asyncio.sleep(max(0.0, when - asyncio.get_running_loop().time()))
    begin = time.perf_counter()
    async with session.post("jobs", json=NO_OP) as answer:
        answer.raise_for_status()
        job = await answer.json()
    return time.perf_counter() - begin, job


async def _seconds_to_start(session: aiohttp.ClientSession, job_id: str) -> float:
    while True:
        job = await get_job(session, job_id)
        if job["started_at"]:
            times = [datetime.fromisoformat(job[name]) for name in ("created_at", "started_at")]
            return (times[1] - times[0]).total_seconds()


def _spread(seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f" p50 {cuts[49] * 1000:6.1f} ms   p99 {cuts[98] * 1000:6.1f} ms   max {max(seconds) * 1000:6.1f} ms"


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
