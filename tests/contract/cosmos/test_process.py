"""The emulator as a process: start, stop, kill -9, and queries that keep nobody waiting."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import AzureError
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.aio import CosmosClient as AsyncCosmosClient

from tests.contract.cosmos.sdk import ACCOUNT_KEY, ENVIRONMENT, collect
from tests.services import ROOT, Service, running, start_service


def start(file: Path, port: int = 0) -> Service:
    return start_service("cosmos", "--port", str(port), "--data", str(file), env=ENVIRONMENT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_on_a_signal_and_continues_where_it_stopped(tmp_path: Path, number: signal.Signals) -> None:
    file = tmp_path / "new" / "data.db"
    service = start(file)
    with CosmosClient(service.url, ACCOUNT_KEY) as client:
        container = client.create_database("d").create_container("c", PartitionKey("/tenant"), default_ttl=-1)
        item = container.create_item({"id": "a", "tenant": "t"})
        assert service.stop(number) == 0
    again = start(file, service.port)
    try:
        with CosmosClient(again.url, ACCOUNT_KEY) as client:
            container = client.get_database_client("d").get_container_client("c")
            assert container.read_item("a", "t") == item
            assert container.read()["defaultTtl"] == -1
            assert container.upsert_item({"id": "a", "tenant": "t"})["_etag"] > item["_etag"]
    finally:
        again.stop()


async def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    file = tmp_path / "data.db"
    service = start(file)
    saved: list[tuple[str, str]] = []

    async def write(container: Any, writer: int) -> None:
        for n in range(1000):
            item = await container.upsert_item({"id": f"{writer}-{n}", "tenant": "t", "n": n})
            saved.append((item["id"], item["_etag"]))
            if len(saved) == 200:
                service.kill()

    async with AsyncCosmosClient(service.url, ACCOUNT_KEY, retry_total=0) as client:
        database = await client.create_database("d")
        container = await database.create_container("c", PartitionKey("/tenant"))
        writers = [write(container, writer) for writer in range(4)]
        ends = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(end, AzureError) for end in ends)

    again = start(file)
    try:
        with CosmosClient(again.url, ACCOUNT_KEY) as sync_client:
            kept = sync_client.get_database_client("d").get_container_client("c")
            found = {item["id"]: item["_etag"] for item in kept.query_items("SELECT * FROM c", partition_key="t")}
        assert found.items() >= dict(saved).items()
        assert len(found) <= len(saved) + len(writers)
    finally:
        again.stop()


@pytest.mark.parametrize(("key", "hint"), [("", "set COSMOS_KEY"), ("not base64!", "set COSMOS_KEY")])
def test_a_missing_key_is_named_with_the_fix(tmp_path: Path, key: str, hint: str) -> None:
    command = [sys.executable, "-m", "local", "cosmos", "--port", "0", "--data", str(tmp_path / "data.db")]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "COSMOS_KEY": key},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert ended.returncode == 1
    assert hint in ended.stderr


def test_a_busy_port_is_named(tmp_path: Path, service: Service) -> None:
    with pytest.raises(AssertionError, match=f"cannot serve on port {service.port}"):
        start(tmp_path / "data.db", service.port)


async def test_a_slow_query_does_not_block_point_operations(tmp_path: Path) -> None:
    with running("cosmos", "--port", "0", "--data", str(tmp_path / "data.db"), env=ENVIRONMENT) as service:
        async with AsyncCosmosClient(service.url, ACCOUNT_KEY) as client:
            database = await client.create_database("d")
            container = await database.create_container("c", PartitionKey("/tenant"))
            for page in range(30):
                items = [{"id": f"{page}-{n}", "tenant": "t", "tags": list(range(100))} for n in range(100)]
                await container.execute_item_batch([("create", (item,)) for item in items], "t")
            slow = "SELECT VALUE COUNT(1) FROM c JOIN a IN c.tags WHERE a = 99 OR CONTAINS(c.id, 'x')"
            query = asyncio.create_task(collect(container.query_items(slow, partition_key="t")))
            reads = 0
            while not query.done():
                await container.read_item("0-0", "t")
                reads += 1
            assert await query == [3000]
            assert reads >= 5, "a query that blocked would let through one that came before it and one behind it"
