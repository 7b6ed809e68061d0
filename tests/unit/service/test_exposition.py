"""The text for Prometheus: read back by its own parser and held against the rules that promtool checks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from shared.jobs.metrics import Counts
from shared.jobs.model import Priority
from shared.service.exposition import exposition
from shared.service.stats import Gauges
from tests.exposition_rules import problems_of

EVENTS = ("submitted", "processed", "completed", "failed", "cancelled", "retried", "dead")


def gauges() -> Gauges:
    counts = Counts()
    for event in EVENTS:
        counts.count(event, "weather", "low")
    counts.count("submitted", 'odd "name"\n\\', "high")
    for seconds in (0.001, 0.3, 7, 5000):
        counts.ran("weather", timedelta(seconds=seconds))
        counts.waited("low", timedelta(seconds=seconds))
    counts.count_worker("heartbeats", 5)
    counts.count_worker("cleaned_up", 2)
    return Gauges(counts, 3, dict.fromkeys(Priority, 4), {"weather": True, "quote": False})


def samples(gauges: Gauges) -> dict[tuple[str, str], float]:
    text = exposition(gauges).decode()
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_number_arrives() -> None:
    found = samples(gauges())
    assert {found[f"tasks_{event}_total", "weather,low"] for event in EVENTS} == {1}
    assert found["tasks_submitted_total", 'odd "name"\n\\,high'] == 1
    assert found["task_duration_seconds_count", "weather"] == found["task_queue_wait_seconds_count", "low"] == 4
    assert math.isclose(found["task_duration_seconds_sum", "weather"], 5007.301)
    assert found["task_duration_seconds_bucket", "weather,0.5"] == 2
    assert found["task_duration_seconds_bucket", "weather,+Inf"] == 4
    assert found["workers_active", ""] == 3
    assert (found["worker_heartbeats_total", ""], found["workers_cleaned_up_total", ""]) == (5, 2)
    assert {found["queue_depth", priority] for priority in Priority} == {4}
    assert (found["provider_breaker_open", "weather"], found["provider_breaker_open", "quote"]) == (1, 0)


def test_the_text_keeps_the_rules() -> None:
    assert problems_of(exposition(gauges()).decode()) == []
    assert problems_of(exposition(Gauges(Counts(), 0, {}, {})).decode()) == []


def test_nothing_counted_yet_is_a_valid_text_with_every_metric_declared() -> None:
    families = {
        family.name for family in text_string_to_metric_families(exposition(Gauges(Counts(), 0, {}, {})).decode())
    }
    assert families >= {*(f"tasks_{event}" for event in EVENTS), "task_duration_seconds", "queue_depth"}


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        (lambda text: text.replace("tasks_dead_total", "tasks_dead"), "does not end in _total"),
        (lambda text: text.replace('le="0.5"} 2.0', 'le="0.5"} 9.0'), "not cumulative"),
        (lambda text: text.replace('le="+Inf"', 'le="7000.0"'), "in disorder"),
        (lambda text: text.replace("_count{", "_number{"), "below its own TYPE|lacks a part"),
        (
            lambda text: text.replace(
                'wait_seconds_count{priority="low"} 4.0', 'wait_seconds_count{priority="low"} 5.0'
            ),
            "than its count",
        ),
        (lambda text: text + text.splitlines()[-1] + "\n", "twice"),
        (lambda text: text + text, "declared twice"),
        (lambda text: re.sub("# TYPE workers_active .*\n", "", text), "TYPE"),
        (lambda text: text.rstrip(), "does not end"),
    ],
)
def test_a_broken_text_is_recognised(broken: Callable[[str], str], problem: str) -> None:
    text = exposition(gauges()).decode()
    assert broken(text) != text
    try:
        problems = "; ".join(problems_of(broken(text)))
    except ValueError as exc:  # the parser's, or heads that do not pair up
        problems = f"TYPE: {exc}"
    assert re.search(problem, problems), problems
