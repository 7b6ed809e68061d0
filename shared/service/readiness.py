"""Whether the services that a job needs answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable

from shared.jobs.ids import new_job_id
from shared.service.ports import Services, TransientError
from shared.service.submit import TENANT

#: A service that takes longer, in seconds, counts as away.
PATIENCE = 5.0
#: An answer holds so many seconds: asking costs calls to every service.
REMEMBERED = 5.0


class Readiness:
    """A probe that remembers its last answer for a while, since its address is open to everybody."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._asking = asyncio.Lock()
        self._answers: dict[str, str] = {}
        self._until = 0.0

    async def check(self) -> dict[str, str]:
        """For each service `ok` or what is wrong with it, in a word or two."""
        async with self._asking:
            if time.monotonic() >= self._until:
                self._answers = await self._ask()
                self._until = time.monotonic() + REMEMBERED
        return self._answers

    async def _ask(self) -> dict[str, str]:
        services = self._services
        nobody = new_job_id(services.clock(), services.rng)
        probes: dict[str, Awaitable[object]] = {
            "tables": services.status.get(TENANT, nobody),
            "cosmos": services.results.get(TENANT, nobody),
            "service_bus": services.dead_letters.browse(1),  # a queue that nobody holds
        }
        answers = await asyncio.gather(*map(_probe, probes.values()))
        return dict(zip(probes, answers, strict=True))


async def _probe(call: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PATIENCE):
            await call
    except TimeoutError:
        return "no answer"
    except TransientError:
        return "unavailable"
    return "ok"
