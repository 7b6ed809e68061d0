"""The queries, the workbook, the alerts and the runbooks: they parse, fit each other, ask for what the code emits."""

from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest

from shared.jobs.context import JobContext
from shared.jobs.outcomes import JobCancelled, LeaseLost, PermanentError, RetryableError, SnoozeJob
from shared.service.gauges import measure_gauges
from shared.service.repair import repair
from shared.service.tracing import Span
from tests.unit.service.world import Work, World
from tools.monitoring_check import faults
from tools.monitoring_check.files import ALERTS, BICEP, QUERIES, WORKBOOK, queries, runbook_queries
from tools.monitoring_check.workbook import workbook


class Emitted:
    """Remembers what the use cases tell."""

    def __init__(self) -> None:
        self.metrics: dict[str, set[str]] = {}
        self.outcomes: set[str] = set()
        self.dimensions: set[str] = set()

    def record(self, span: Span) -> None:
        self.dimensions |= set(span.dimensions)
        self.outcomes.add(span.result)

    def measure(self, name: str, value: float, **dimensions: str) -> None:  # noqa: ARG002 - the port's
        assert self.metrics.setdefault(name, set(dimensions)) == set(dimensions), "one shape a metric"


@pytest.fixture(scope="module")
def emitted() -> Emitted:
    """What jobs with every outcome and a round of the janitor tell."""
    return asyncio.run(_emitted())


async def _emitted() -> Emitted:
    seen = Emitted()
    world = World()
    world.services = dataclasses.replace(world.services, telemetry=seen)
    snoozed: set[str] = set()

    async def handler(payload: Work, job: JobContext) -> None:
        match payload.note:
            case "retry" if job.attempt == 1:
                raise RetryableError("once more", code="busy")
            case "fail":
                raise PermanentError("for good", code="broken")
            case "snooze" if job.job_id not in snoozed:
                snoozed.add(job.job_id)
                raise SnoozeJob(1)
            case "cancel":
                raise JobCancelled("asked to")
            case "lose":
                raise LeaseLost("another has it")

    world.handler = handler
    for note in ("complete", "retry", "fail", "snooze", "cancel", "lose"):
        await world.submit(payload={"note": note})
    await world.drain()
    await repair(world.services)
    await measure_gauges(world.services)
    return seen


def test_nothing_is_wrong_with_the_monitoring_files(emitted: Emitted) -> None:
    assert emitted.outcomes >= {"completed", "retrying", "failed", "snoozed", "cancelled", "lost"}
    assert faults.all_faults(emitted.metrics, emitted.dimensions, emitted.outcomes) == []


def test_the_workbook_is_as_its_program_writes_it() -> None:
    assert json.loads(WORKBOOK.read_text()) == workbook(), "run `make workbook`"


def test_the_parser_finds_what_is_wrong_with_a_query() -> None:
    bad = {
        "column": ("requests | where nam == 'x'", "'nam' does not refer"),
        "syntax": ("requests\n| summarize count( by name", "Expected"),
        "table": ("request | take 1", "'request' does not refer"),
        "operator": ("requests | sumarize count()", "operator"),
        "function": ("requests | extend x = no_such_function(name)", "no_such_function"),
        "type": ("requests | extend x = bin(name, 1m)", "type"),
    }
    texts = {name: text for name, (text, _) in bad.items()} | {"good": "requests | take 1"}
    found = faults.parse_faults(texts)
    for name, (_, fault) in bad.items():
        assert [each for each in found if each.startswith(f"{name}: line ") and fault in each], (name, found)
    assert not [each for each in found if each.startswith("good")]


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ('customMetrics | where name == "dtq_atempt_seconds"', "no code measures dtq_atempt_seconds"),
        ('customMetrics | where name == "dtq_heartbeat" | extend p = customDimensions.priority', "dimension priority"),
        ("requests | extend p = customDimensions.jobid", "dimension jobid"),
        ('requests | where resultCode == "succeeded"', "no attempt comes to succeeded"),
        (
            'customMetrics | where name == "dtq_attempt_seconds" | where outcome in ("completed", "dead")',
            "comes to dead",
        ),
    ],
)
def test_a_query_for_what_the_code_does_not_emit_is_found(query: str, fault: str, emitted: Emitted) -> None:
    (found,) = faults.name_faults({"q": query}, emitted.metrics, emitted.dimensions, emitted.outcomes)
    assert fault in found


def test_a_workbook_that_shows_other_queries_is_found() -> None:
    changed = workbook()
    parts = [item for item in changed["items"] if item["type"] == 3]
    parts[0]["name"] = "nowhere"
    parts[1]["content"]["query"] += "| take 1"
    changed["items"] = [item for item in changed["items"] if "JobId" not in item.get("name", "")]
    found = " ".join(faults.workbook_faults(changed))
    for part in (
        "no queries/nowhere.kql",
        "is not as queries/queue-age.kql",
        "not show queries/queue-depth.kql",
        "JobId",
    ):
        assert part in found


def test_an_alert_without_a_runbook_or_a_query_is_found() -> None:
    bicep = BICEP.read_text()
    changed = bicep.replace("runbook: 'poison'", "runbook: 'poisson'").replace(
        "alerts/breaker-open.kql", "alerts/fuse.kql"
    )
    found = faults.alert_faults(changed)
    assert found == [
        "the alert poisson has no runbook docs/how-to/runbooks/poisson.md",
        "the runbook poison belongs to no alert",
        "monitoring.bicep loads alerts/fuse.kql, which is not there",
        "no alert of monitoring.bicep loads alerts/breaker-open.kql",
    ]


def test_every_file_is_looked_at() -> None:
    assert len(queries()) == len(list(QUERIES.iterdir())) + len(list(ALERTS.iterdir()))
    assert {name.split()[0] for name in runbook_queries()} == {"no-heartbeat.md", "poison.md"}
