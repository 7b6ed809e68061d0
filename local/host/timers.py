"""Timer triggers. Source: Azure/azure-webjobs-sdk-extensions, Extensions/Timers (TimerListener, ScheduleMonitor)."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from azure.functions.timer import TimerRequest

from local.host.context import RetryContext
from local.host.indexing import Function
from local.host.invoke import Invocation, Invoker
from local.host.ncrontab import Schedule, parse_schedule
from local.host.retry import parse_retry_policy
from local.host.settings import SettingError, expand

_NEVER = datetime(1, 1, 1, tzinfo=UTC)
_LONGEST_SLEEP = 30.0  # seconds; a changed wall clock is noticed within this time
logger = logging.getLogger("Host.Triggers.Timer")


@dataclass(frozen=True, slots=True)
class ScheduleStatus:
    """What the monitor remembers of a timer between two runs of the host."""

    last: datetime
    next: datetime
    last_updated: datetime

    def to_json(self) -> dict[str, str]:
        return {
            "Last": self.last.isoformat(),
            "Next": self.next.isoformat(),
            "LastUpdated": self.last_updated.isoformat(),
        }


class ScheduleMonitor:
    """Keeps one timer's status in a file, so that a run missed while the host was down is made up for."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> ScheduleStatus | None:
        """The stored status; None when there is none, or none that can be read."""
        try:
            values = json.loads(self._path.read_text("utf-8"))
            return ScheduleStatus(*(datetime.fromisoformat(values[key]) for key in ("Last", "Next", "LastUpdated")))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            logger.warning("The timer status %s cannot be read and starts anew: %s", self._path, error)
            return None

    def write(self, status: ScheduleStatus) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(".new")
        partial.write_text(json.dumps(status.to_json()), "utf-8")
        partial.replace(self._path)


class TimerListener:
    """Fires one function on its schedule, never two runs at once."""

    def __init__(self, function: Function, invoker: Invoker, environment: Mapping[str, str], state: Path) -> None:
        self._function = function
        self._invoker = invoker
        text = expand(str(function.trigger["schedule"]), environment)
        zone_name = environment.get("WEBSITE_TIME_ZONE") or environment.get("TZ") or "UTC"
        try:
            self._zone = ZoneInfo(zone_name)
            self._schedule: Schedule = parse_schedule(text, self._zone)
            self._retry = parse_retry_policy(function.retry_policy)
            self._schedule.next(datetime.now(UTC))
        except (KeyError, ValueError) as error:
            raise SettingError(str(error)) from error
        self._text = text
        self._run_on_startup = bool(function.trigger.get("runOnStartup", False))
        monitored = function.trigger.get("useMonitor") is not False and self._schedule.monitored
        self._monitor = ScheduleMonitor(state / "timers" / f"{function.name}.status") if monitored else None
        self._status: ScheduleStatus | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"timer {self._function.name}")

    async def stop(self) -> None:
        self._stopping.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        name, now = self._function.name, datetime.now(UTC)
        logger.info(
            "The '%s' timer is using the schedule '%s' and the local time zone: '%s'", name, self._text, self._zone
        )
        past_due = self._load_status(now)
        if past_due:
            logger.info("Function '%s' is past due on startup. Executing now.", name)
            await self._fire(now, past_due=True)
        elif self._run_on_startup:
            logger.info("Function '%s' is configured to run on startup. Executing now.", name)
            await self._fire(now, details="UnscheduledInvocationReason: RunOnStartup")
        self._log_occurrences()
        slot = self._schedule.next(datetime.now(UTC))
        while await self._sleep_until(slot):
            # A clock that wakes a moment early must not find the same slot again.
            fired_at = max(datetime.now(UTC), slot)
            await self._fire(fired_at)
            slot = self._schedule.next(fired_at)  # already past when the run outlasted it: then one run follows at once

    def _load_status(self, now: datetime) -> bool:
        """Read what the monitor remembers; whether an occurrence was missed."""
        if self._monitor is None:
            return False
        status = self._monitor.read()
        if status is not None:
            since = status.last if status.last > _NEVER else status.last_updated
            if since > _NEVER and self._schedule.next(since) == status.next:
                self._status = status
                return now > status.next
        # First start, or the schedule changed: nothing counts as missed.
        self._remember(ScheduleStatus(_NEVER, self._schedule.next(now), now))
        return False

    def _remember(self, status: ScheduleStatus) -> None:
        self._status = status
        if self._monitor is not None:
            self._monitor.write(status)

    async def _fire(self, at: datetime, *, past_due: bool = False, details: str = "") -> None:
        retry_count = 0
        while True:
            request = TimerRequest(
                past_due=past_due,
                schedule_status=self._status.to_json() if self._status and self._monitor else None,
                schedule={"AdjustForDST": True},
            )
            call = Invocation(
                {self._function.trigger["name"]: request},
                reason=f"Timer fired at {datetime.now(self._zone).isoformat()}",
                details=details,
                retry=RetryContext(retry_count, max(self._retry.max_retry_count, 0)),
            )
            outcome = await self._invoker.invoke(self._function, call)
            retry_count += 1
            if outcome.error is None or not self._retry.allows(retry_count):
                break
            if not await self._sleep(self._retry.delay(retry_count)):
                break
        if self._monitor is not None:
            self._remember(ScheduleStatus(at.astimezone(self._zone), self._schedule.next(at), datetime.now(self._zone)))

    async def _sleep_until(self, slot: datetime) -> bool:
        """Wait for `slot`; False when the listener is stopped first."""
        while (remaining := (slot - datetime.now(UTC)) / timedelta(seconds=1)) > 0:
            if not await self._sleep(min(remaining, _LONGEST_SLEEP)):
                return False
        return not self._stopping.is_set()

    async def _sleep(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return True
        return False

    def _log_occurrences(self) -> None:
        occurrences, moment = [], datetime.now(UTC)
        for _ in range(5):
            moment = self._schedule.next(moment)
            occurrences.append(f"{moment.astimezone(UTC):%m/%d/%Y %H:%M:%S}Z")
        logger.info(
            "The next 5 occurrences of the '%s' schedule (%s) will be: %s",
            *(self._function.name, self._text, ", ".join(occurrences)),
        )


def argument_of_manual_run() -> Any:
    """The TimerRequest of a run that the host APIs ask for."""
    return TimerRequest(past_due=False, schedule={"AdjustForDST": True})
