"""What the measurements ask of the API; the session's base address is that of its version 1."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp


async def get_job(session: aiohttp.ClientSession, job_id: str, wait: int = 10) -> Any:
    """A job, once it has changed or `wait` seconds have passed."""
    async with session.get(f"jobs/{job_id}", params={"wait": str(wait)}) as answer:
        return await answer.json()


async def list_jobs(session: aiohttp.ClientSession, **wanted: str) -> AsyncIterator[Any]:
    """All jobs of a state, type or priority, newest first."""
    parameters = {"limit": "200", **wanted}
    while True:
        async with session.get("jobs", params=parameters) as answer:
            page = await answer.json()
        for job in page["jobs"]:
            yield job
        if page["next_page_token"] is None:
            return
        parameters["page_token"] = page["next_page_token"]
