"""The sums: from a workload to dollars a month, line by line."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from tools.cost import prices
from tools.cost.operations import (
    DEAD_LETTER,
    JOB,
    LEASE_WRITES_A_SECOND,
    PROGRESS_WRITES_A_SECOND,
    READ,
    RETRY,
    TABLE_CALLS_A_BUSY_SECOND,
    TELEMETRY_CALL,
    TELEMETRY_JOB,
)
from tools.cost.prices import MILLION

DAYS = 30.4
#: Of a message, a row and a document beside payload and result, in bytes.
ENVELOPE = 1_500
#: How long a request of the HTTP API takes, in seconds: what the platform bills is the shortest time anyway.
HTTP_SECONDS = 0.05
HTTP_CONCURRENCY = 16
#: A job in a push, in bytes, and how long pushes are apart, in seconds (shared/azure/signalr.py).
CHANGE = 600
PUSH_INTERVAL = 0.05


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the queue, and what it runs on."""

    jobs_per_day: float
    payload_kb: float = 1.0
    result_kb: float = 1.0
    run_seconds: float = 0.5
    provider_calls: float = 1.0
    #: Of each job: attempts beyond the first, share that fails for good, reads by its client.
    retries: float = 0.05
    failed: float = 0.01
    reads: float = 1.0
    #: Whether the handler reports progress all the time.
    progress: bool = False
    #: Jobs a submission, hours of a day in which the jobs come, priorities in use.
    batch: int = 1
    busy_hours: float = 10.0
    queues: int = 2
    concurrency: int = 16
    memory_mb: Literal[512, 2048, 4096] = 2048
    premium_units: int = 0
    #: Browsers that watch; none, no SignalR unit is needed.
    viewers: int = 5
    sampling: float = 1.0
    status_ttl_hours: int = 24
    result_ttl_days: int = 30


class Line(msgspec.Struct, frozen=True):
    """A line of the bill."""

    service: str
    quantity: str
    dollars: float


def bill(workload: Workload) -> list[Line]:
    """The bill of a month."""
    return [
        *_functions(workload),
        _service_bus(workload),
        _table(workload),
        _cosmos(workload),
        _signalr(workload),
        _insights(workload),
    ]


def broker_operations(workload: Workload) -> float:
    """Operations a job: sends, receives and settlements. Those of long messages count several times."""
    parts = math.ceil((workload.payload_kb * 1024 + ENVELOPE) / prices.SERVICE_BUS_OPERATION_BYTES)
    long_ones = (JOB.sends + JOB.receives) + workload.retries * (RETRY.sends + RETRY.receives)
    long_ones += workload.failed * DEAD_LETTER.sends
    return long_ones * parts + JOB.settlements + workload.retries * RETRY.settlements


def table_calls(workload: Workload) -> float:
    """Calls to Table Storage a job, without what processes do by the second."""
    a_second = PROGRESS_WRITES_A_SECOND if workload.progress else LEASE_WRITES_A_SECOND
    running = a_second * workload.run_seconds * (1 + workload.retries)
    return JOB.table + workload.retries * RETRY.table + workload.reads * READ.table + running


def busy_seconds(rate: float, seconds: float, concurrency: int) -> float:
    """Instances in use on average, for calls that come at random, `rate` a second, and last so long.

    An instance is billed while at least one call runs on it, and a second at least. Few calls hardly ever overlap
    (rate x seconds); many keep one instance busy all the time, then as many as their concurrency asks for.
    """
    billed = max(seconds, prices.FLEX_SHORTEST_SECONDS)
    return max(1 - math.exp(-rate * billed), rate * seconds / concurrency)


def run_instances(workload: Workload) -> float:
    """Instances in use on average in busy hours, by all queue functions: each scales alone."""
    rate = workload.jobs_per_day * (1 + workload.retries) / (workload.busy_hours * 3600) / workload.queues
    return workload.queues * busy_seconds(rate, workload.run_seconds, workload.concurrency)


def http_instances(workload: Workload) -> float:
    """Instances in use on average in busy hours, by the HTTP functions, which scale together."""
    return busy_seconds(_requests(workload) / (workload.busy_hours * 3600), HTTP_SECONDS, HTTP_CONCURRENCY)


def _requests(workload: Workload) -> float:
    """HTTP requests a day."""
    return workload.jobs_per_day * (1 / workload.batch + workload.reads)


def _functions(workload: Workload) -> list[Line]:
    attempts = workload.jobs_per_day * (1 + workload.retries) * DAYS
    executions = _requests(workload) * DAYS + attempts
    busy = workload.busy_hours * 3600 * DAYS * workload.memory_mb / 1024
    # The janitor runs once a minute, day and night, on an instance of its own.
    gb_seconds = (run_instances(workload) + http_instances(workload)) * busy
    gb_seconds += 60 * 24 * DAYS * prices.FLEX_SHORTEST_SECONDS * workload.memory_mb / 1024
    counted = max(0.0, executions - prices.FLEX_FREE_EXECUTIONS) / MILLION * prices.FLEX_MILLION_EXECUTIONS
    run = max(0.0, gb_seconds - prices.FLEX_FREE_GB_SECONDS) * prices.FLEX_GB_SECOND
    return [
        Line("Functions, executions", f"{executions / MILLION:,.2f} M", counted),
        Line("Functions, run time", f"{gb_seconds:,.0f} GB-s", run),
    ]


def _service_bus(workload: Workload) -> Line:
    operations = workload.jobs_per_day * DAYS * broker_operations(workload)
    quantity = f"{operations / MILLION:,.2f} M operations"
    if workload.premium_units:
        dollars = workload.premium_units * prices.SERVICE_BUS_PREMIUM_UNIT_MONTH
        return Line(f"Service Bus Premium, {workload.premium_units} MU", quantity, dollars)
    dollars = prices.SERVICE_BUS_STANDARD_MONTH + prices.service_bus_operations(operations)
    return Line("Service Bus Standard", quantity, dollars)


def _table(workload: Workload) -> Line:
    calls = workload.jobs_per_day * DAYS * table_calls(workload)
    instances = run_instances(workload) + http_instances(workload)
    calls += instances * workload.busy_hours * 3600 * DAYS * TABLE_CALLS_A_BUSY_SECOND
    stored = workload.jobs_per_day * workload.status_ttl_hours / 24 * (workload.payload_kb * 1024 + ENVELOPE) / 1e9
    dollars = calls / 10_000 * prices.TABLE_TEN_THOUSAND_CALLS + stored * prices.TABLE_GB_MONTH
    return Line("Table Storage", f"{calls / MILLION:,.2f} M calls, {stored:,.2f} GB", dollars)


def _cosmos(workload: Workload) -> Line:
    size = (workload.payload_kb + workload.result_kb) * 1024 + ENVELOPE
    units = workload.jobs_per_day * DAYS * JOB.cosmos_writes * prices.cosmos_write_ru(size)
    stored = workload.jobs_per_day * workload.result_ttl_days * size / 1e9
    dollars = units / MILLION * prices.COSMOS_MILLION_RU + stored * prices.COSMOS_GB_MONTH
    return Line("Cosmos DB serverless", f"{units / MILLION:,.2f} M RU, {stored:,.2f} GB", dollars)


def _signalr(workload: Workload) -> Line:
    changes = workload.jobs_per_day * (JOB.pushes + workload.retries * RETRY.pushes)
    # Changes within an interval share a push, by instance; a push counts a message for each 2 KB, and each client.
    senders = max(1.0, run_instances(workload) + http_instances(workload))
    together = 1 + changes / (workload.busy_hours * 3600) / senders * PUSH_INTERVAL
    messages = changes / together * max(1.0, together * CHANGE / prices.SIGNALR_MESSAGE_BYTES) * workload.viewers
    quantity = f"{messages / MILLION:,.2f} M messages a day"
    if messages <= prices.SIGNALR_FREE_DAY_MESSAGES and workload.viewers <= prices.SIGNALR_FREE_CLIENTS:
        return Line("SignalR Free", quantity, 0.0)
    units = math.ceil(
        max(messages / prices.SIGNALR_UNIT_DAY_MESSAGES, workload.viewers / prices.SIGNALR_UNIT_CLIENTS, 1)
    )
    return Line(f"SignalR Standard, {units} units", quantity, units * prices.SIGNALR_UNIT_MONTH)


def _insights(workload: Workload) -> Line:
    requests = workload.reads * TELEMETRY_CALL + workload.provider_calls * TELEMETRY_CALL
    of_job = TELEMETRY_JOB + requests + workload.retries * 2 * TELEMETRY_CALL
    # What failed is always sent: of each failed attempt the request, and two log lines.
    kept = (workload.retries + workload.failed) * 3 * TELEMETRY_CALL * (1 - workload.sampling)
    stored = workload.jobs_per_day * DAYS * (of_job * workload.sampling + kept) / 1e9
    return Line("Application Insights", f"{stored:,.2f} GB", stored * prices.INSIGHTS_GB)
