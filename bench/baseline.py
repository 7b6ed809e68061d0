"""The baseline: the SDK calls that one job costs, with nothing around them, by one process and default clients."""

from __future__ import annotations

import asyncio
import time
import uuid

from azure.core import MatchConditions
from azure.cosmos import PartitionKey
from azure.cosmos.aio import CosmosClient
from azure.data.tables import UpdateMode
from azure.data.tables.aio import TableServiceClient
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

#: As many at once as one worker runs of one queue.
CONCURRENCY = 16
#: The one queue of the stack that no function listens to.
QUEUE = "jobs-dead"


async def baseline_rate(settings: dict[str, str], count: int) -> float:
    """Jobs a second if a job were nothing but its calls: insert, send, receive, merge, document, merge, complete."""
    async with (
        TableServiceClient.from_connection_string(settings["TablesConnection"]) as tables,
        CosmosClient.from_connection_string(settings["CosmosConnection"]) as cosmos,
        ServiceBusClient.from_connection_string(settings["ServiceBusConnection"]) as bus,
    ):
        table = await tables.create_table_if_not_exists("benchbaseline")
        database = await cosmos.create_database_if_not_exists("bench")
        container = await database.create_container_if_not_exists("baseline", PartitionKey("/pk"))
        async with bus.get_queue_sender(QUEUE) as sender, bus.get_queue_receiver(QUEUE) as receiver:
            begin = time.perf_counter()
            etags: dict[str, str] = {}
            batch = await sender.create_message_batch()
            for start in range(0, count, 100):
                rows = [_row(str(uuid.uuid4())) for _ in range(min(100, count - start))]
                answers = await table.submit_transaction([("create", row) for row in rows])
                etags.update({row["RowKey"]: answer["etag"] for row, answer in zip(rows, answers, strict=True)})
                batch = await sender.create_message_batch()
                for row in rows:
                    batch.add_message(ServiceBusMessage(b"x" * 600, subject=row["RowKey"]))
                await sender.send_messages(batch)
            gate = asyncio.Semaphore(CONCURRENCY)

            async def work(message: object) -> None:
                async with gate:
                    key = str(message.subject)  # type: ignore[attr-defined]
                    etag = etags[key]
                    for state in ("running", "completed"):
                        if state == "completed":
                            await container.create_item({"id": key, "pk": "p", "data": "x" * 600}, no_response=True)
                        answer = await table.update_entity(
                            {"PartitionKey": "p", "RowKey": key, "state": state},
                            UpdateMode.MERGE,
                            etag=etag,
                            match_condition=MatchConditions.IfNotModified,
                        )
                        etag = str(answer["etag"])
                    await receiver.complete_message(message)  # type: ignore[arg-type]

            done = 0
            while done < count:
                messages = await receiver.receive_messages(max_message_count=CONCURRENCY * 4, max_wait_time=5)
                await asyncio.gather(*map(work, messages))
                done += len(messages)
            return count / (time.perf_counter() - begin)


def _row(key: str) -> dict[str, str]:
    return {"PartitionKey": "p", "RowKey": key, "state": "queued", **{f"column{n}": "x" * 20 for n in range(20)}}
