"""Writes infra/monitoring/workbook.json: the pages of the workbook around the queries of infra/monitoring/queries."""

from __future__ import annotations

import json
from typing import Any

from tools.monitoring_check.files import QUERIES, WORKBOOK

_TIME_RANGE = "TimeRange"


def write() -> None:
    """Bring the workbook up to date with the queries and with this file."""
    WORKBOOK.write_text(json.dumps(workbook(), indent=2) + "\n")


def workbook() -> dict[str, Any]:
    """The workbook as Azure takes it ("Notebook/1.0")."""
    return {
        "version": "Notebook/1.0",
        "items": [
            _text("# Task queue\nWhat each part means and what to do: `docs/how-to/monitor.md`."),
            _time_range(),
            _text("## Queues"),
            _chart("queue-depth", "Messages in each queue", width=50),
            _chart("queue-age", "Oldest waiting job, seconds", width=50),
            _text("## Throughput"),
            _chart("throughput", "Jobs a minute", width=50),
            _chart("instances", "Instances that run jobs", width=50),
            _table("outcomes", "What attempts came to"),
            _text("## Latency"),
            _chart("wait-latency", "Wait for a worker, seconds", width=50),
            _table("run-latency", "Attempts, seconds", width=50),
            _table("http-api", "HTTP API, milliseconds", width=50),
            _table("providers", "Providers, seconds", width=50),
            _text("## Failures by type"),
            _table("failures-by-type", "Why attempts fail"),
            _text("## What drives the cost"),
            _table("run-seconds", "Seconds that handlers ran", width=50),
            _table("cost-drivers", "Telemetry stored", width=50),
            _text("## One job"),
            _job_id(),
            _table("one-job", "Its trace"),
        ],
        "$schema": "https://github.com/Microsoft/Application-Insights-Workbooks/blob/master/schema/workbook.json",
    }


def _text(markdown: str) -> dict[str, Any]:
    return {"type": 1, "content": {"json": markdown}}


def _time_range() -> dict[str, Any]:
    hours = [1, 4, 24, 72, 168]
    choices = [{"durationMs": hour * 3_600_000} for hour in hours]
    return _parameter(
        _TIME_RANGE,
        4,
        value={"durationMs": 14_400_000},
        typeSettings={"selectableValues": choices, "allowCustom": True},
    )


def _job_id() -> dict[str, Any]:
    return _parameter("JobId", 1, value="", label="Job id")


def _parameter(name: str, kind: int, **settings: Any) -> dict[str, Any]:
    parameter = {"id": f"parameter-{name}", "version": "KqlParameterItem/1.0", "name": name, "type": kind, **settings}
    return {
        "type": 9,
        "name": f"parameter-{name}",
        "content": {"version": "KqlParameterItem/1.0", "parameters": [parameter], "style": "pills", "queryType": 0},
    }


def _chart(query: str, title: str, width: int = 100) -> dict[str, Any]:
    return _query(query, title, "timechart", width)


def _table(query: str, title: str, width: int = 100) -> dict[str, Any]:
    return _query(query, title, "table", width)


def _query(name: str, title: str, visualization: str, width: int) -> dict[str, Any]:
    return {
        "type": 3,
        "name": name,
        "customWidth": str(width),
        "content": {
            "version": "KqlItem/1.0",
            "query": (QUERIES / f"{name}.kql").read_text(),
            "size": 0,
            "title": title,
            "timeContextFromParameter": _TIME_RANGE,
            "queryType": 0,
            "resourceType": "microsoft.insights/components",
            "visualization": visualization,
        },
    }
