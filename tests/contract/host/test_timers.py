"""Timer triggers in a running host."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.contract.host.hosting import wait_for_log, write_app
from tests.services import running

EVERY_SECOND = """
@app.timer_trigger(arg_name="t", schedule="%TickSchedule%")
def tick(t: func.TimerRequest) -> None:
    logging.info("tick %s %s %s", t.past_due, t.schedule, t.schedule_status)
"""


def yearly(options: str = "") -> str:
    return f"""
@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *"{options})
def yearly(t: func.TimerRequest) -> None:
    logging.info("yearly past_due=%s status=%s", t.past_due, t.schedule_status)
"""


def test_fires_on_time_by_a_schedule_from_the_settings(tmp_path: Path) -> None:
    app = str(write_app(tmp_path, EVERY_SECOND))
    with running("host", "--app", app, "--port", "0", env={"TickSchedule": "* * * * * *"}) as service:
        lines = wait_for_log(service, "Executing 'Functions.tick' (Reason='Timer fired at ", count=2)
        moments = [datetime.fromisoformat(line.split()[0]) for line in lines]
        assert all(moment.microsecond < 900_000 for moment in moments), "never early"
        assert timedelta(seconds=0.1) < moments[1] - moments[0] < timedelta(seconds=2)
        wait_for_log(service, "tick False {'AdjustForDST': True} {}")  # not monitored: more than once a minute
        wait_for_log(service, "The next 5 occurrences of the 'tick' schedule (* * * * * *) will be: ")
    with running("host", "--app", app, "--port", "0") as service:
        wait_for_log(service, "The 'tick' function is in error: '%TickSchedule%' does not resolve to a value.")
    with running("host", "--app", app, "--port", "0", env={"TickSchedule": "now"}) as service:
        wait_for_log(service, "The 'tick' function is in error: The schedule expression 'now' was not recognized")


def test_run_on_startup_and_the_status_that_is_kept(tmp_path: Path) -> None:
    app = write_app(tmp_path, yearly(", run_on_startup=True"))
    with running("host", "--app", str(app), "--port", "0", "--state", str(tmp_path)) as service:
        wait_for_log(service, "Function 'yearly' is configured to run on startup. Executing now.")
        wait_for_log(service, "Trigger Details: UnscheduledInvocationReason: RunOnStartup")
        (line,) = wait_for_log(service, "yearly past_due=False")
        assert "'Last': '0001-01-01T00:00:00+00:00'" in line
        wait_for_log(service, "The next 5 occurrences")
    status = json.loads((tmp_path / "timers" / "yearly.status").read_text())
    next_year = datetime.now(UTC).year + 1
    assert status["Next"] == f"{next_year}-01-01T00:00:00+00:00"
    assert datetime.fromisoformat(status["Last"]).year == next_year - 1


def test_a_missed_run_is_made_up_for_once(tmp_path: Path) -> None:
    this_year = datetime.now(UTC).year
    status = {
        "Last": f"{this_year - 3}-01-01T00:00:00+00:00",
        "Next": f"{this_year - 2}-01-01T00:00:00+00:00",
        "LastUpdated": f"{this_year - 3}-01-01T00:00:01+00:00",
    }
    (tmp_path / "timers").mkdir()
    (tmp_path / "timers" / "yearly.status").write_text(json.dumps(status))
    arguments = ("host", "--app", str(write_app(tmp_path, yearly())), "--port", "0", "--state", str(tmp_path))
    with running(*arguments) as service:
        wait_for_log(service, "Function 'yearly' is past due on startup. Executing now.")
        wait_for_log(service, "yearly past_due=True")
        wait_for_log(service, "The next 5 occurrences")
    with running(*arguments) as service:
        wait_for_log(service, "The next 5 occurrences")
        assert not [line for line in service.log if "past due" in line]


def test_a_changed_schedule_is_not_past_due(tmp_path: Path) -> None:
    status = dict.fromkeys(("Last", "Next", "LastUpdated"), "2020-05-05T05:05:05+00:00")
    (tmp_path / "timers").mkdir()
    (tmp_path / "timers" / "yearly.status").write_text(json.dumps(status))
    app = write_app(tmp_path, yearly())
    with running("host", "--app", str(app), "--port", "0", "--state", str(tmp_path)) as service:
        wait_for_log(service, "The next 5 occurrences")
        assert not [line for line in service.log if "past due" in line]


def test_runs_never_overlap_and_a_late_one_follows_at_once(tmp_path: Path) -> None:
    source = """
@app.timer_trigger(arg_name="t", schedule="* * * * * *")
async def slow(t: func.TimerRequest) -> None:
    logging.info("began")
    await asyncio.sleep(1.3)
    logging.info("ended")
"""
    with running("host", "--app", str(write_app(tmp_path, source)), "--port", "0") as service:
        wait_for_log(service, ": ended", count=2)
        events = re.findall(r": (began|ended)$", "\n".join(service.log), re.MULTILINE)
        assert events[:4] == ["began", "ended", "began", "ended"]


def test_retry_policy(tmp_path: Path) -> None:
    source = """
@app.timer_trigger(arg_name="t", schedule="0 0 0 1 1 *", run_on_startup=True, use_monitor=False)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:01")
def retried(t: func.TimerRequest, context: func.Context) -> None:
    retry = context.retry_context
    logging.info("attempt %s of %s", retry.retry_count, retry.max_retry_count)
    if retry.retry_count == 0:
        raise ValueError("once")
"""
    with running("host", "--app", str(write_app(tmp_path, source)), "--port", "0") as service:
        wait_for_log(service, "attempt 0 of 2")
        wait_for_log(service, "attempt 1 of 2")
        wait_for_log(service, "The next 5 occurrences")
        assert not [line for line in service.log if "attempt 2" in line]
