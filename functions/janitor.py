"""The timer that mends what a crash left behind."""

from __future__ import annotations

import logging

import azure.functions as func

from shared.composition import services, settings, telemetry
from shared.service.gauges import measure_gauges
from shared.service.heartbeat import clean_up
from shared.service.pause import enforce_pauses
from shared.service.ports import TransientError
from shared.service.repair import Repaired, repair
from shared.service.tracing import request

logger = logging.getLogger(__name__)

blueprint = func.Blueprint()


@blueprint.function_name("janitor")
@blueprint.timer_trigger(arg_name="timer", schedule="0 * * * * *", run_on_startup=False, use_monitor=False)
async def janitor(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding needs the parameter
    """Once a minute: lost messages, dead owners, rows past their time, gone workers, pauses of queues."""
    with request(telemetry(), "janitor", "") as span:
        try:
            repaired = await repair(services())
            await clean_up(services())
            await enforce_pauses(services())
        except TransientError as exc:
            span.end("unavailable", success=False)
            logger.warning("the janitor stopped half-way and begins anew in a minute: %s", exc)
            return
    if settings().telemetry is not None:
        await _measure()
    if repaired != Repaired():
        logger.info("the janitor %s", repaired)


async def _measure() -> None:
    try:
        await measure_gauges(services())
    except TransientError as exc:
        logger.warning("queues and breakers were not measured: %s", exc)
