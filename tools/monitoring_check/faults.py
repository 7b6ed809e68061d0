"""What is wrong with the monitoring files: each check gives sentences, none when all is well."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from tools.monitoring_check.files import (
    ALERTS,
    ANALYSER,
    BICEP,
    QUERIES,
    ROOT,
    RUNBOOKS,
    TABLES,
    WORKBOOK,
    queries,
    runbook_queries,
)

_METRIC = re.compile(r'"(dtq_\w+)"')
_DIMENSION = re.compile(r"customDimensions\.(\w+)")
_OUTCOME = re.compile(r"(?:outcome|resultCode) (?:==|in) (\(?[^\n)]*)")
_WORD = re.compile(r'"(\w+)"')


def parse_faults(texts: Mapping[str, str]) -> list[str]:
    """What Microsoft's Kusto parser says of each query, unknown tables, columns and functions included.

    Raises RuntimeError when the parser is not installed.
    """
    if not (ANALYSER.parent / "node_modules").is_dir():
        folder = ANALYSER.parent.relative_to(ROOT)
        raise RuntimeError(f"The Kusto parser is not installed: run `npm ci --prefix {folder}` or `make test`.")
    asked = json.dumps({"tables": json.loads(TABLES.read_text()), "queries": texts})
    answer = subprocess.run(  # noqa: S603 - nothing of it comes from outside
        ["node", str(ANALYSER)],  # noqa: S607 - the node of the path, as npm has it
        input=asked,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[str, list[str]] = json.loads(answer.stdout)
    return [f"{name}: {fault}" for name, faults in found.items() for fault in faults]


def comment_faults(texts: Mapping[str, str]) -> list[str]:
    """Queries that do not begin by saying what they show."""
    return [f"{name}: has no comment at its top" for name, text in texts.items() if not text.startswith("// ")]


def name_faults(
    texts: Mapping[str, str], metrics: Mapping[str, set[str]], dimensions: set[str], outcomes: set[str]
) -> list[str]:
    """Metrics, dimensions and outcomes that queries ask for and the code does not emit.

    `metrics`: the dimensions of each metric; `dimensions`: those of spans; `outcomes`: what attempts come to.
    """
    return [fault for name, text in texts.items() for fault in _names(name, text, metrics, dimensions, outcomes)]


def _names(
    name: str, text: str, metrics: Mapping[str, set[str]], dimensions: set[str], outcomes: set[str]
) -> Iterator[str]:
    asked = set(_METRIC.findall(text))
    for metric in sorted(asked - set(metrics)):
        yield f"{name}: no code measures {metric}"
    known = set().union(*(metrics[metric] for metric in asked & set(metrics))) if asked else dimensions
    for dimension in sorted(set(_DIMENSION.findall(text)) - known):
        yield f"{name}: no code emits the dimension {dimension} there"
    for words in _OUTCOME.findall(text):
        for word in _WORD.findall(words):
            if word not in outcomes:
                yield f"{name}: no attempt comes to {word}"


def workbook_faults(workbook: Mapping[str, Any]) -> list[str]:
    """Parts of the workbook that show no query of the files, or not as it is there; queries that it does not show."""
    faults = []
    shown = {item["name"]: item["content"]["query"] for item in workbook["items"] if item["type"] == 3}
    files = {path.stem: path.read_text() for path in QUERIES.glob("*.kql")}
    for name, text in shown.items():
        if name not in files:
            faults.append(f"the workbook shows {name}, but there is no queries/{name}.kql")
        elif text != files[name]:
            faults.append(f"the workbook's {name} is not as queries/{name}.kql has it: run `make workbook`")
    faults += [f"the workbook does not show queries/{name}.kql" for name in sorted(files.keys() - shown.keys())]
    parameters = {
        each["name"] for item in workbook["items"] if item["type"] == 9 for each in item["content"]["parameters"]
    }
    used = {word for text in shown.values() for word in re.findall(r"\{(\w+)\}", text)}
    faults += [f"the workbook has no parameter {name}" for name in sorted(used - parameters)]
    return faults


def alert_faults(bicep: str) -> list[str]:
    """Alerts without a runbook, runbooks without an alert, and alert queries that Bicep does not use or that are not
    there."""
    named = set(re.findall(r"runbook: '([\w-]+)'", bicep))
    written = {path.stem for path in RUNBOOKS.glob("*.md")}
    used = set(re.findall(r"monitoring/alerts/([\w-]+)\.kql", bicep))
    files = {path.stem for path in ALERTS.glob("*.kql")}
    return [
        *(f"the alert {name} has no runbook docs/how-to/runbooks/{name}.md" for name in sorted(named - written)),
        *(f"the runbook {name} belongs to no alert" for name in sorted(written - named - {"budget"})),
        *(f"monitoring.bicep loads alerts/{name}.kql, which is not there" for name in sorted(used - files)),
        *(f"no alert of monitoring.bicep loads alerts/{name}.kql" for name in sorted(files - used)),
    ]


def all_faults(metrics: Mapping[str, set[str]], dimensions: set[str], outcomes: set[str]) -> list[str]:
    """Everything that is wrong."""
    texts = queries()
    return [
        *parse_faults(texts | runbook_queries()),
        *comment_faults(texts),
        *name_faults(texts, metrics, dimensions, outcomes),
        *workbook_faults(json.loads(WORKBOOK.read_text())),
        *alert_faults(BICEP.read_text()),
    ]
