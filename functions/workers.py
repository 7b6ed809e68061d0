"""One function a priority, so that Azure scales each queue on its own; and one for what the broker gave up."""

from __future__ import annotations

import azure.functions as func

from functions.stopping import close_gate_on_signal
from shared.composition import heartbeat, services
from shared.jobs.model import Priority
from shared.service.repair import bury
from shared.service.run import run_message

blueprint = func.Blueprint()

CONNECTION = "ServiceBusConnection"


@blueprint.function_name("run_critical")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name="jobs-critical", connection=CONNECTION)
async def run_critical(message: func.ServiceBusMessage) -> None:
    """Run a job of the critical queue."""
    await _run(message, Priority.CRITICAL)


@blueprint.function_name("run_high")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name="jobs-high", connection=CONNECTION)
async def run_high(message: func.ServiceBusMessage) -> None:
    """Run a job of the high queue."""
    await _run(message, Priority.HIGH)


@blueprint.function_name("run_medium")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name="jobs-medium", connection=CONNECTION)
async def run_medium(message: func.ServiceBusMessage) -> None:
    """Run a job of the medium queue."""
    await _run(message, Priority.MEDIUM)


@blueprint.function_name("run_low")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name="jobs-low", connection=CONNECTION)
async def run_low(message: func.ServiceBusMessage) -> None:
    """Run a job of the low queue."""
    await _run(message, Priority.LOW)


async def _run(message: func.ServiceBusMessage, queue: Priority) -> None:
    close_gate_on_signal()
    async with heartbeat().serving(f"run_{queue}"):
        await run_message(services(), queue, message.get_body(), message.message_id, message.delivery_count or 1)


@blueprint.function_name("bury_poison")
@blueprint.service_bus_queue_trigger(arg_name="message", queue_name="jobs-poison", connection=CONNECTION)
async def bury_poison(message: func.ServiceBusMessage) -> None:
    """Fail the job of a message that the broker delivered too often or kept too long."""
    properties = message.application_properties or {}
    async with heartbeat().serving("bury_poison"):
        await bury(
            services(),
            message.get_body(),
            message.message_id,
            str(properties.get("DeadLetterReason", "unknown")),
            str(properties.get("DeadLetterErrorDescription", "")),
        )
