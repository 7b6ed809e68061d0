"""What this instance knows of pauses and breakers: a snapshot of the shared records, at most a second old."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from shared.service.ports import Records, TransientError

logger = logging.getLogger(__name__)

#: The kind of the records: `queue:<priority>`, `job_type:<name>` and `breaker:<name>`.
FLOW = "flow"
#: A snapshot is used for so long.
MAX_AGE = timedelta(seconds=1)
#: How long a job waits, in seconds, for a table that does not answer; then the last snapshot has to do.
PATIENCE = 1.0
#: A table that is away is logged so often.
LOG_INTERVAL = timedelta(minutes=1)


class FlowState:
    """The records of kind "flow", read together by whoever asks: one query a second however many jobs run."""

    def __init__(self, records: Records, clock: Callable[[], datetime]) -> None:
        self._records = records
        self._clock = clock
        self._known: Mapping[str, Any] = {}
        self._read_at: datetime | None = None
        self._reading: asyncio.Task[None] | None = None
        self._logged_at: datetime | None = None

    async def read(self) -> Mapping[str, Any]:
        """The values by key, plain data; the last known ones when the table does not answer."""
        if self._is_stale():
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            done, _ = await asyncio.wait({self._reading}, timeout=PATIENCE)
            for reading in done:
                reading.result()
        return self._known

    def forget(self) -> None:
        """Have the next `read` ask the table, because this instance has just changed something."""
        self._read_at = None
        self._reading = None

    def _is_stale(self) -> bool:
        if self._read_at is None:
            return True
        return not timedelta(0) <= self._clock() - self._read_at < MAX_AGE

    async def _read(self) -> None:
        began = self._clock()
        mine = asyncio.current_task()
        try:
            records = await self._records.list(FLOW)
        except TransientError as exc:
            self._log(began, exc)
            records = None
        finally:
            forgotten = self._reading is not mine
            if not forgotten:
                self._reading = None
        if forgotten:
            return  # what it has read may be older than the change that made somebody forget
        self._read_at = began
        if records is not None:
            self._known = {record.key: record.value for record in records}

    def _log(self, now: datetime, exc: TransientError) -> None:
        if self._logged_at is None or now - self._logged_at >= LOG_INTERVAL:
            self._logged_at = now
            logger.warning("pauses and breakers cannot be read, the last known ones hold: %s", exc)
