"""Where ports meet adapters: the one place that knows which class implements what."""

from __future__ import annotations

import functools
import os
import random
import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime

from shared.config import Settings, load_settings
from shared.handlers import load_job_types
from shared.jobs.registry import Registry
from shared.service.flow import FlowControl
from shared.service.heartbeat import Heartbeat
from shared.service.metrics import Recorder
from shared.service.ports import Services
from shared.service.quota import TenantQuota
from shared.service.readiness import Readiness
from shared.service.stats import Monitor
from shared.service.tracing import NoTelemetry, Telemetry


@functools.cache
def registry() -> Registry:
    """The job types."""
    return load_job_types()


@functools.cache
def settings() -> Settings:
    """The settings of this process. Raises SettingsError."""
    return load_settings(os.environ, registry())


@functools.cache
def services() -> Services:
    """The services of this process, with their clients, which connect when they are first used."""
    # The SDKs take most of a cold start: a probe or the catalogue of job types is answered without them.
    from shared.azure.cosmos import CosmosResultStore  # noqa: PLC0415
    from shared.azure.dead_letters import ServiceBusDeadLetters  # noqa: PLC0415
    from shared.azure.queue_admin import ServiceBusQueueAdmin  # noqa: PLC0415
    from shared.azure.records import TableRecords  # noqa: PLC0415
    from shared.azure.servicebus import ServiceBusConnection, ServiceBusJobQueue  # noqa: PLC0415
    from shared.azure.signalr import SignalRNotifier  # noqa: PLC0415
    from shared.azure.table_service import TableConnection  # noqa: PLC0415
    from shared.azure.tables import TableStatusStore  # noqa: PLC0415

    configured = settings()
    bus = ServiceBusConnection(configured.service_bus)
    tables = TableConnection(configured.tables)
    status = TableStatusStore(tables, utc_now)
    records = TableRecords(tables)
    rng = random.SystemRandom()
    return Services(
        settings=configured,
        registry=registry(),
        status=status,
        records=records,
        results=CosmosResultStore(configured.cosmos, configured.cosmos_database, configured.result_ttl_days),
        queue=ServiceBusJobQueue(bus),
        queue_admin=ServiceBusQueueAdmin(configured.service_bus),
        dead_letters=ServiceBusDeadLetters(bus),
        notifier=SignalRNotifier(configured.signalr),
        clock=utc_now,
        rng=rng,
        instance_id=instance_id(),
        flow=FlowControl(configured, records, utc_now, rng, instance_id()),
        metrics=Recorder(records, utc_now, instance_id()),
        quota=TenantQuota(status, configured.tenant_max_open, utc_now),
        telemetry=telemetry(),
    )


@functools.cache
def telemetry() -> Telemetry:
    """Where this process tells what it does. The exporters are imported when there is something to tell."""
    configured = settings().telemetry
    if configured is None:
        return NoTelemetry()
    from shared.azure.deferred_telemetry import Aggregate, DeferredTelemetry, Exporter  # noqa: PLC0415 - only when used

    def application_insights(drain: Callable[[], list[Aggregate]]) -> Exporter:
        from shared.azure.telemetry import ApplicationInsights  # noqa: PLC0415 - 0.2 s, which its own thread pays

        role = os.environ.get("WEBSITE_SITE_NAME", "dtq")
        return ApplicationInsights(configured, role, instance_id(), drain)

    deferred = DeferredTelemetry(application_insights, configured.sampling)
    deferred.listen()
    return deferred


@functools.cache
def heartbeat() -> Heartbeat:
    """The sign of life of this process."""
    return Heartbeat(services())


@functools.cache
def monitor() -> Monitor:
    """What this process tells operators."""
    return Monitor(services())


@functools.cache
def readiness() -> Readiness:
    """The probe of this process."""
    return Readiness(services())


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@functools.cache
def instance_id() -> str:
    """Names this process in leases and logs; never the same twice, so that a restart is another owner."""
    host = os.environ.get("WEBSITE_INSTANCE_ID", socket.gethostname())[:12]
    return f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
