"""Jobs by the thousand without a queue: a small server that speaks the API's listing and negotiation to the page.

What it pushes goes through the product's own notifier and the real SignalR emulator; what it lists are the product's
own job views. So the page is fed through the interfaces that it has, on a machine that could not run that many jobs.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from local.host.static import StaticFiles
from shared.azure.signalr import SignalRNotifier
from shared.config import Connection
from shared.jobs.ids import new_job_id
from shared.jobs.model import Job, JobState, Priority
from shared.service.view import job_view
from tests.services import ROOT, Service

TYPES = ("weather", "quote", "exchange_rate", "github_user")
#: The versions of a job that are pushed one after the other, as far apart as this, in seconds.
STEP_SECONDS = 0.4
VERSIONS = (
    (JobState.QUEUED, 0, ""),
    (JobState.RUNNING, 20, "Begun"),
    (JobState.RUNNING, 60, "Half of it"),
    (JobState.COMPLETED, 100, "Completed"),
)


class Feeder:
    """All jobs so far, and what tells the page of them."""

    def __init__(self, signalr: Service, key: str) -> None:
        connection = f"Endpoint={signalr.url.rsplit(':', 1)[0]};Port={signalr.port};AccessKey={key};Version=1.0;"
        self._notifier = SignalRNotifier(Connection(connection_string=connection))
        self._files = StaticFiles(ROOT / "static-ui/dist")
        self._random = random.Random(7)
        self.jobs: dict[str, Job] = {}

    def newest(self) -> list[Job]:
        """As the API lists them."""
        return [self.jobs[job_id] for job_id in sorted(self.jobs, reverse=True)]

    async def feed(self, count: int, rate: float) -> None:
        """Let `count` jobs begin, `rate` a second, and run through all their versions."""
        start = time.monotonic()
        lives: set[asyncio.Task[None]] = set()
        for number in range(count):
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            lives.add(asyncio.create_task(self._live(self._new(number))))
        await asyncio.gather(*lives)

    async def close(self) -> None:
        """Push what waits."""
        await self._notifier.close()

    def _new(self, number: int) -> Job:
        now = datetime.now(UTC)
        return Job(
            job_id=new_job_id(now, self._random),
            trace_id=f"{number:032x}",
            tenant="default",
            job_type=TYPES[number % len(TYPES)],
            priority=list(Priority)[number % 4],
            payload={},
            max_attempts=4,
            created_at=now,
            run_at=now,
            state=JobState.QUEUED,
            updated_at=now,
        )

    async def _live(self, job: Job) -> None:
        for state, progress, message in VERSIONS:
            now = datetime.now(UTC)
            ended = now if state is JobState.COMPLETED else None
            job = msgspec.structs.replace(
                job, state=state, progress=progress, message=message, updated_at=now, attempt=1, finished_at=ended
            )
            self.jobs[job.job_id] = job
            self._notifier.publish(job)
            if ended is None:
                await asyncio.sleep(STEP_SECONDS)

    async def list_jobs(self, request: web.Request) -> web.Response:
        """GET /jobs without filters; the token is the last id."""
        limit, after = int(request.query["limit"]), request.query.get("page_token")
        jobs = [job for job in self.newest() if after is None or job.job_id < after]
        token = jobs[limit - 1].job_id if len(jobs) > limit else None
        body = msgspec.json.encode({"jobs": [job_view(job) for job in jobs[:limit]], "next_page_token": token})
        return web.Response(body=body, content_type="application/json")

    async def negotiate(self, _request: web.Request) -> web.Response:
        """POST /realtime/negotiate."""
        return web.json_response(dict(await self._notifier.negotiate()))

    async def file(self, request: web.Request) -> web.Response:
        """The page; what is no part of it is a call that this server does not have."""
        return await self._files.serve(request.method, request.path, None) or web.Response(status=404)


@asynccontextmanager
async def serving(feeder: Feeder) -> AsyncIterator[str]:
    """The address of the page with this feeder behind it."""
    app = web.Application()
    app.router.add_get("/api/v1/jobs", feeder.list_jobs)
    app.router.add_post("/api/v1/realtime/negotiate", feeder.negotiate)
    app.router.add_get("/{path:.*}", feeder.file)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        await feeder.close()
