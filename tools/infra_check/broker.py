"""Queues and the alerts that watch them: the same queues in Azure as in local/Config.json, none of them unwatched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tree_sitter import Node

from shared.azure.servicebus import QUEUES
from tools.infra_check.evaluate import Deployed
from tools.infra_check.rules import seconds
from tools.infra_check.syntax import Finding, literal, properties
from tools.infra_check.values import Unknown, alternatives, at

QUEUE = "Microsoft.ServiceBus/namespaces/queues"
_METRIC_ALERT, _QUERY_ALERT = "Microsoft.Insights/metricAlerts", "Microsoft.Insights/scheduledQueryRules"
_ACTION_GROUP = "Microsoft.Insights/actionGroups"
#: Metrics of Service Bus that tell how many messages a queue holds.
_MESSAGES = ("ActiveMessages", "DeadletteredMessages", "Messages")
#: The metric, reported for every priority, by whose age a query alert watches the queues of jobs.
AGE_METRIC = "dtq_oldest_seconds"


def expected_queues(root: Path) -> dict[str, dict[str, Any]]:
    """The queues of the local broker with their properties, named as Azure names them."""
    config = json.loads((root / "local" / "Config.json").read_text())
    (namespace,) = config["UserConfig"]["Namespaces"]
    return {
        queue["Name"]: {name[0].lower() + name[1:]: value for name, value in queue["Properties"].items()}
        for queue in namespace["Queues"]
    }


def check_queues(resources: list[Deployed], expected: dict[str, dict[str, Any]]) -> Iterator[Finding]:
    """Every queue is there once, as expected, and no other."""
    found: dict[str, Deployed] = {}
    for queue in (each for each in resources if each.type == QUEUE):
        name = str(queue.value.get("name"))
        if name not in expected:
            yield queue.finding(f"{queue.declaration.name}: local/Config.json has no queue {name}", "name")
        elif name in found:
            yield queue.finding(f"{queue.declaration.name}: the queue {name} is there twice", "name")
        else:
            found[name] = queue
            yield from _same(queue, name, expected[name])
            yield from _forwards(queue)
    for name in sorted(set(expected) - set(found)):
        anchor = next(iter(found.values()), resources[0])
        yield anchor.finding(f"the queue {name} of local/Config.json is missing")


def check_alerts(resources: list[Deployed], queues: set[str]) -> Iterator[Finding]:
    """Every alert tells somebody, names queues that exist, and every queue has one."""
    alerts = [each for each in resources if each.type in (_METRIC_ALERT, _QUERY_ALERT)]
    watched: set[str] = set()
    if not any(each.type == _ACTION_GROUP for each in resources):
        yield (alerts or resources)[0].finding("there is no action group: nobody can be told of an alert")
    for alert in alerts:
        yield from _tells_somebody(alert)
        yield from _lasts(alert)
        if alert.type == _QUERY_ALERT:
            if AGE_METRIC in json.dumps(_criteria(alert), default=str):
                watched |= set(QUEUES.values())
        else:
            names = _entities(alert)
            for name in sorted(names - queues - {"*"}):
                yield alert.finding(f"{alert.declaration.name}: watches the queue {name}, which does not exist")
            watched |= names
    for queue in sorted(queues - watched):
        yield (alerts or resources)[0].finding(f"no alert watches the queue {queue}")


def _same(queue: Deployed, name: str, expected: dict[str, Any]) -> Iterator[Finding]:
    for key, value in expected.items():
        for found in alternatives(at(queue.value, "properties", key)):
            # A text that is not given is an empty one.
            if not isinstance(found, Unknown) and ("" if found is None else found) != value:
                message = f"{name}: {key} is {found!r}, but {value!r} in local/Config.json"
                yield queue.finding(f"{queue.declaration.name}: {message}", "properties", key)


def _forwards(queue: Deployed) -> Iterator[Finding]:
    """A queue must exist before another forwards to it: it is named by its symbol, or stands in dependsOn."""
    body = queue.declaration.value
    if body is None or any(key == "dependsOn" for key, _, _ in properties(body)):
        return
    for key, _, value in _below(body, "properties"):
        if key in ("forwardTo", "forwardDeadLetteredMessagesTo") and literal(value):
            message = (
                f"{key} names {literal(value)} by a text, so that it may not exist yet: write <its symbol>.name, "
                "or add dependsOn"
            )
            yield queue.finding(f"{queue.declaration.name}: {message}", "properties", key)


def _below(body: Node, name: str) -> Iterator[tuple[str, Node, Node]]:
    for key, _, value in properties(body):
        if key == name:
            yield from properties(value)


def _criteria(alert: Deployed) -> list[Any]:
    found = at(alert.value, "properties", "criteria", "allOf")
    return found if isinstance(found, list) else []


def _entities(alert: Deployed) -> set[str]:
    """The queues that a metric alert on Service Bus watches for messages."""
    found: set[str] = set()
    for criterion in _criteria(alert):
        dimensions = at(criterion, "dimensions")
        if at(criterion, "metricName") in _MESSAGES and isinstance(dimensions, list):
            for dimension in dimensions:
                values = at(dimension, "values")
                if at(dimension, "name") == "EntityName" and isinstance(values, list):
                    found |= {value for value in values if isinstance(value, str)}
    return found


def _tells_somebody(alert: Deployed) -> Iterator[Finding]:
    path = ("properties", "actions", "actionGroups") if alert.type == _QUERY_ALERT else ("properties", "actions")
    actions = at(alert.value, *path)
    if not any(isinstance(each, Unknown) or each for each in alternatives(actions)):
        yield alert.finding(f"{alert.declaration.name}: the alert has no action group", "properties", "actions")


def _lasts(alert: Deployed) -> Iterator[Finding]:
    window, frequency = (seconds(at(alert.value, "properties", name)) for name in ("windowSize", "evaluationFrequency"))
    if window is not None and frequency is not None and window < frequency:
        message = f"{alert.declaration.name}: the window is shorter than the time between two evaluations"
        yield alert.finding(message, "properties", "windowSize")
