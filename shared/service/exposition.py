"""Counts as Prometheus reads them: text format 0.0.4, https://prometheus.io/docs/instrumenting/exposition_formats/.

Imported by the one function that answers a scrape: the library is nobody else's business.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.jobs.metrics import Histogram
from shared.service.stats import Gauges

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_JOBS = {
    "submitted": "Jobs that were accepted, and ended ones that were started again.",
    "processed": "Attempts that ran to an end, well or badly.",
    "completed": "Jobs that ended well.",
    "failed": "Jobs that ended badly.",
    "cancelled": "Jobs that were cancelled.",
    "retried": "Attempts that failed and left the job waiting for the next.",
    "dead": "Jobs that were put among the dead letters.",
}


class _Collected(Collector):
    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterator[Metric]:
        gauges = self._gauges
        for event, text in _JOBS.items():
            jobs = CounterMetricFamily(f"tasks_{event}", text, labels=("job_type", "priority"))
            for job_type, priority, counts in gauges.counts.events():
                jobs.add_metric((job_type, priority), counts[event])
            yield jobs
        text = "How long attempts took that ran to an end, in seconds."
        yield _histograms("task_duration_seconds", text, "job_type", gauges.counts.run_times())
        text = "How long jobs were due before an attempt began, in seconds."
        yield _histograms("task_queue_wait_seconds", text, "priority", gauges.counts.wait_times())
        yield GaugeMetricFamily(
            "workers_active", "Instances that take messages and were heard of lately.", gauges.workers
        )
        workers = gauges.counts.worker_events()
        yield CounterMetricFamily("worker_heartbeats", "Signs of life of all instances.", workers["heartbeats"])
        yield CounterMetricFamily(
            "workers_cleaned_up", "Instances that fell silent and were removed.", workers["cleaned_up"]
        )
        yield _gauge("queue_depth", "Messages that are due, those in workers' hands too.", "priority", gauges.depths)
        text = "Whether the circuit breaker of the job type's provider is open or half open."
        yield _gauge("provider_breaker_open", text, "job_type", gauges.open_breakers)


def exposition(gauges: Gauges) -> bytes:
    """The text that answers a scrape."""
    return generate_latest(_Collected(gauges))


def _histograms(name: str, text: str, label: str, histograms: Mapping[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=(label,))
    for value, histogram in histograms.items():
        buckets = [("+Inf" if math.isinf(bound) else str(bound), count) for bound, count in histogram.cumulative()]
        family.add_metric((value,), buckets, histogram.seconds)
    return family


def _gauge(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=(label,))
    for value, number in values.items():
        family.add_metric((value,), number)
    return family
