"""What no single job tells: how full the queues are, and which breakers are open. The janitor looks after its round."""

from __future__ import annotations

from shared.jobs.breaker import BreakerState, state
from shared.service.breakers import breaker_of
from shared.service.flow_state import FLOW
from shared.service.ports import Services
from shared.service.tracing import BREAKER_OPEN, HEARTBEAT, QUEUE_MESSAGES


async def measure_gauges(services: Services) -> None:
    """Tell that a round has ended well; then measure the queues and the breakers. Raises TransientError."""
    measure = services.telemetry.measure
    measure(HEARTBEAT, 1)
    for queue, counts in (await services.queue_admin.counts()).items():
        measure(QUEUE_MESSAGES, counts.active, queue=queue, messages="active")
        measure(QUEUE_MESSAGES, counts.scheduled, queue=queue, messages="scheduled")
    flow = {record.key: record.value for record in await services.records.list(FLOW)}
    now = services.clock()
    for job_type in services.registry:
        is_open = state(breaker_of(flow, job_type.name), now) is not BreakerState.CLOSED
        measure(BREAKER_OPEN, float(is_open), job_type=job_type.name)
