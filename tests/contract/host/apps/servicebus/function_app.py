"""Functions on queues, for the Service Bus suite. What they see goes to the log as `seen {json}`."""

import asyncio
import json
import logging
import typing

import azure.functions as func

app = func.FunctionApp()
running = 0
most = 0


def seen(**values: object) -> None:
    logging.getLogger("app").info("seen %s", json.dumps(values, default=str))


@app.service_bus_queue_trigger(arg_name="message", queue_name="plain", connection="SB")
async def plain(message: func.ServiceBusMessage, context: func.Context) -> None:
    fields = (
        *("content_type", "correlation_id", "delivery_count", "enqueued_time_utc", "expires_at_utc", "label"),
        *("lock_token", "locked_until", "message_id", "partition_key", "reply_to", "reply_to_session_id"),
        *("scheduled_enqueue_time_utc", "sequence_number", "session_id", "state", "subject", "time_to_live", "to"),
        *("application_properties", "user_properties", "metadata"),
    )
    seen(
        function="plain",
        body=message.get_body().decode(),
        traceparent=context.trace_context.trace_parent,
        **{name: getattr(message, name) for name in fields},
    )


@app.service_bus_queue_trigger(arg_name="message", queue_name="text", connection="SB")
async def text(message: str) -> None:
    seen(function="text", body=message)


@app.service_bus_queue_trigger(arg_name="message", queue_name="%FailingQueue%", connection="SB")
async def failing(message: func.ServiceBusMessage) -> None:
    seen(function="failing", delivery_count=message.delivery_count)
    if message.delivery_count == 1:
        raise SystemExit(1)


@app.service_bus_queue_trigger(arg_name="message", queue_name="short-lock", connection="SB")
async def long_running(message: func.ServiceBusMessage) -> None:
    seen(function="long_running", delivery_count=message.delivery_count)
    await asyncio.sleep(float(message.get_body()))
    seen(function="long_running", ended=True)


@app.service_bus_queue_trigger(arg_name="messages", queue_name="batch", connection="SB", cardinality="many")
async def batch(messages: typing.List[func.ServiceBusMessage]) -> None:  # noqa: UP006 - the worker refuses list[...]
    bodies = [message.get_body().decode() for message in messages]
    names = sorted(messages[0].metadata or {})
    identifiers = [message.message_id for message in messages]
    seen(function="batch", bodies=bodies, identifiers=identifiers, metadata=names)
    if messages[0].delivery_count == 1 and "again" in bodies:
        raise ValueError("once more")


@app.service_bus_queue_trigger(arg_name="message", queue_name="parallel", connection="SB")
async def parallel(message: func.ServiceBusMessage) -> None:
    global running, most  # noqa: PLW0603
    running += 1
    most = max(most, running)
    await asyncio.sleep(0.15)
    running -= 1
    seen(function="parallel", body=message.get_body().decode(), most=most)


@app.service_bus_queue_trigger(arg_name="message", queue_name="sync", connection="SB")
def sync(message: func.ServiceBusMessage) -> None:
    seen(function="sync", body=message.get_body().decode())


@app.service_bus_queue_trigger(arg_name="message", queue_name="plain", connection="Missing")
async def unconnected(message: func.ServiceBusMessage) -> None:
    seen(function="unconnected")
