"""Measure how long jobs wait under load, with the admission gate and without, on a stack of its own each.

`python -m bench.priorities [--low 2000] [--critical 100] [--seconds 60]`. Two loads, by one worker that serves all
queues: a flood of low jobs that wait while critical ones trickle in, and for a minute more critical jobs than the
worker can do, with 200 low jobs waiting. Without the gate means more slots than can ever be taken: what is left then is
what the host does, so many jobs of each queue at once as it hands out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from bench.api import get_job, list_jobs
from bench.stack import ROOT, running_stack

SLOTS, AGEING_SECONDS, WEIGHT = 16, 10, 3
#: How many messages of each of the four queues the host hands to the worker at most.
IN_HAND: int = json.loads((ROOT / "host.json").read_text())["extensions"]["serviceBus"]["maxConcurrentCalls"]
FLOOD_JOB_SECONDS = 0.02
#: So long that the slots are what is short, not the processor.
STREAM_JOB_SECONDS = 0.5
TRICKLE_SECONDS = 0.1
WAITING_LOW = 200
#: Critical jobs that wait at any time while the stream lasts.
BACKLOG = 200
PATIENCE = 300
ENDED = frozenset({"completed", "failed", "cancelled"})
MODES: Mapping[str, Mapping[str, str]] = {"on": {}, "off": {"DTQ_SLOTS": "1000"}}


@dataclass(frozen=True)
class Outcome:
    """How long the jobs of each priority waited to start, in seconds, in the order of their submission.

    `critical_share` is theirs of all jobs that began within the first ageing time after the low ones were there.
    """

    waits: dict[str, list[float]]
    critical_share: float
    longest_run: float
    jobs_a_second: float


async def main(argv: list[str]) -> int:
    """Run both loads in both modes and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.priorities", description=__doc__)
    parser.add_argument("--low", type=int, default=2000)
    parser.add_argument("--critical", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args(argv)
    floods: dict[str, Outcome] = {}
    streams: dict[str, Outcome] = {}
    for mode, env in MODES.items():
        with running_stack(env=env) as stack:
            async with aiohttp.ClientSession(f"{stack.url}/api/v1/") as session:
                await wait_for(
                    session, {"low": await submit(session, "low", 50, FLOOD_JOB_SECONDS)}
                )  # everything has run once
                floods[mode] = await flood(session, options.low, options.critical)
                streams[mode] = await stream(session, options.seconds)
    say(f"{options.low} low jobs of {FLOOD_JOB_SECONDS * 1000:.0f} ms, then {options.critical} critical ones,")
    say(f"one every {TRICKLE_SECONDS * 1000:.0f} ms. Waits in seconds.")
    tell(floods)
    for mode, outcome in floods.items():
        share = percentile(outcome.waits["critical"], 95) / statistics.median(outcome.waits["low"])
        say(f"gate {mode:<4} p95 of critical is {share:.1%} of low's median; {outcome.jobs_a_second:.0f} jobs/s")
    say(f"\nFor {options.seconds:g} s more critical jobs of {STREAM_JOB_SECONDS * 1000:.0f} ms than can be done, with")
    say(f"{WAITING_LOW} low ones from the beginning on. Waits in seconds.")
    tell(streams)
    for mode, outcome in streams.items():
        say(f"gate {mode:<4} {outcome.critical_share:.0%} of what began in the first {AGEING_SECONDS} s was critical")
    share = worst_share_of_bound(streams["on"])
    say(f"gate on   the wait of every low job is at most {share:.0%} of the stated bound")
    return 0


async def flood(session: aiohttp.ClientSession, low: int, critical: int) -> Outcome:
    """Low jobs first, then critical ones one by one while the flood runs off."""
    begin = time.perf_counter()
    ids = {"low": await submit(session, "low", low, FLOOD_JOB_SECONDS), "critical": []}
    for _ in range(critical):
        ids["critical"] += await submit(session, "critical", 1, FLOOD_JOB_SECONDS)
        await asyncio.sleep(TRICKLE_SECONDS)
    return await measured(session, ids, begin)


async def stream(session: aiohttp.ClientSession, seconds: float) -> Outcome:
    """Critical jobs, always so many that some of them wait; the low ones come with the first of them."""
    begin = time.perf_counter()
    ids = {"critical": await submit(session, "critical", 2 * BACKLOG, STREAM_JOB_SECONDS)}
    ids["low"] = await submit(session, "low", WAITING_LOW, STREAM_JOB_SECONDS)
    while time.perf_counter() < begin + seconds:
        if (await get_job(session, ids["critical"][-BACKLOG], wait=1))["started_at"]:
            ids["critical"] += await submit(session, "critical", BACKLOG, STREAM_JOB_SECONDS)
    return await measured(session, ids, begin)


async def measured(session: aiohttp.ClientSession, ids: Mapping[str, list[str]], begin: float) -> Outcome:
    """Wait for the jobs and read what they say of themselves."""
    jobs = await wait_for(session, ids)
    seconds = time.perf_counter() - begin
    waits = {
        priority: [_seconds(jobs[job_id], "created_at", "started_at") for job_id in wanted]
        for priority, wanted in ids.items()
    }
    longest = max(_seconds(job, "started_at", "finished_at") for job in jobs.values())
    low_there = max(jobs[job_id]["created_at"] for job_id in ids["low"])
    early = [job for job in jobs.values() if 0 <= _between(low_there, job["started_at"]) < AGEING_SECONDS]
    critical_share = sum(job["priority"] == "critical" for job in early) / len(early)
    return Outcome(waits, critical_share, longest, len(jobs) / seconds)


def worst_share_of_bound(outcome: Outcome) -> float:
    """The largest wait of a low job as a share of its bound (docs/explanation/priorities.md)."""
    longest = outcome.longest_run
    in_hand: float = WEIGHT * AGEING_SECONDS + (4 * IN_HAND - 1) * longest / SLOTS
    return max(wait / ((ahead // IN_HAND + 1) * (in_hand + longest)) for ahead, wait in enumerate(outcome.waits["low"]))


async def submit(session: aiohttp.ClientSession, priority: str, count: int, seconds: float) -> list[str]:
    """Submit jobs that are all alike, up to 1,000 a call; their ids."""
    job = {"job_type": "test_task", "priority": priority, "payload": {"sleep_seconds": seconds}}
    ids: list[str] = []
    while len(ids) < count:
        async with session.post("jobs/batch", json={"jobs": [job] * min(1000, count - len(ids))}) as answer:
            answer.raise_for_status()
            ids += [row["job"]["job_id"] for row in (await answer.json())["results"]]
    return ids


async def wait_for(session: aiohttp.ClientSession, ids: Mapping[str, list[str]]) -> dict[str, Any]:
    """All the jobs by their ids, once they have ended. Raises TimeoutError after PATIENCE seconds."""
    async with asyncio.timeout(PATIENCE):
        jobs: dict[str, Any] = {}
        for priority, wanted in ids.items():
            # Point reads of the last jobs: a listing makes the table service scan, at the jobs' expense.
            for job_id in reversed(wanted[-50:]):
                while (await get_job(session, job_id))["state"] not in ENDED:
                    pass
            left = set(wanted)
            while left:
                page = {
                    job["job_id"]: job async for job in list_jobs(session, priority=priority) if job["state"] in ENDED
                }
                jobs.update({job_id: page[job_id] for job_id in left & page.keys()})
                left -= page.keys()
        return jobs


def _seconds(job: Mapping[str, Any], first: str, last: str) -> float:
    return _between(job[first], job[last])


def _between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()


def percentile(values: Iterable[float], percent: int) -> float:
    """A percentile, 1 to 99."""
    return statistics.quantiles(values, n=100)[percent - 1]


def tell(outcomes: Mapping[str, Outcome]) -> None:
    """The table of one load."""
    say(f"\n{'gate':<6}{'priority':<12}{'p50':>8}{'p95':>8}{'max':>8}")
    for mode, outcome in outcomes.items():
        for priority in ("critical", "low"):
            waits = outcome.waits[priority]
            figures = (statistics.median(waits), percentile(waits, 95), max(waits))
            say(f"{mode:<6}{priority:<12}" + "".join(f"{figure:8.2f}" for figure in figures))
    say()


def say(text: str = "") -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
