"""`python -m local.demo`: exits 0 only if every job completed and every milestone of its progress was seen."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from typing import Any

from aiohttp import ClientError, ClientSession

from local.demo.api import Api
from local.demo.board import MILESTONES, Board
from local.demo.live import listen
from local.demo.stack import DemoStack, StackFailedError

#: From the last submit to the last job's end; each takes about a second. Below the 30 s after which SignalR drops a
#: client that sends nothing.
JOBS_SECONDS = 25.0


def main() -> int:
    """Run the demo; on trouble show the stack's own log."""
    stack = DemoStack()
    try:
        return asyncio.run(_demo(stack))
    except KeyboardInterrupt:
        return 130
    except (StackFailedError, ClientError, TimeoutError) as error:
        _print(f"\nThe demo failed: {str(error) or type(error).__name__}")
        _print_log(stack)
        return 1


async def _demo(stack: DemoStack) -> int:
    begin = time.monotonic()
    _print("Starting the stack: Service Bus, tables, Cosmos DB, SignalR and the function app, all on this machine ...")
    async with stack.running() as url, ClientSession(url) as session:
        _print(f"Ready at {url} after {time.monotonic() - begin:.1f} s.\n")
        api = Api(session)
        types = await api.job_types()
        board = Board([job_type["name"] for job_type in types])
        async with listen(session, await api.negotiate()) as changes:
            for job_type in types:
                board.add(job_type["name"], await api.submit(job_type["name"], job_type["example"]))
            try:
                async with asyncio.timeout(JOBS_SECONDS):
                    while not board.finished:
                        for job in await changes():
                            board.show(job)
            except TimeoutError:
                _print(f"\nNot every job was seen to end within {JOBS_SECONDS:g} s; asking for what became of them.")
        outcomes = [await _report(api, board, name) for name in board.names]
        _print("\nStopping the stack ...")
    if not all(outcomes):
        _print_log(stack)
        return 1
    seconds = time.monotonic() - begin
    _print(f"All {len(outcomes)} jobs completed; {seconds:.1f} s in all. `make run` starts a stack that stays.")
    return 0


async def _report(api: Api, board: Board, name: str) -> bool:
    """Print what the job gave; whether it completed and all of its milestones were seen, live or in its timeline."""
    job_id = board.job_id(name)
    job = await api.job(job_id)
    if job["state"] != "completed":
        _print(f"\n{name}: {job['state']} {_json(job.get('error'))}")
        return False
    document = await api.result(job_id)
    _print(f"\n{name}\n{_json(document['result'])}")
    unseen = MILESTONES - board.seen(name)
    recorded = {entry["progress"] for entry in document["timeline"]}
    if unseen & recorded:
        _print(f"  (not pushed but in its timeline: {_percents(unseen & recorded)})")
    if unseen - recorded:
        _print(f"  (never reported: {_percents(unseen - recorded)})")
    return unseen <= recorded


def _percents(values: Iterable[int]) -> str:
    return ", ".join(f"{value} %" for value in sorted(values))


def _json(value: Any) -> str:
    return "\n".join(f"  {line}" for line in json.dumps(value, indent=2, ensure_ascii=False).splitlines())


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _print_log(stack: DemoStack) -> None:
    _print("\nThe log of the stack:")
    for line in stack.log:
        _print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
