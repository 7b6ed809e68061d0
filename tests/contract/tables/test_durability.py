"""What survives the end of the process: everything after SIGINT, all but the last seconds after kill -9."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from azure.data.tables import TableClient, TableServiceClient

from tests.contract.tables.azurite import start_azurite


def rows(client: TableClient) -> set[str]:
    return {str(row["RowKey"]) for row in client.list_entities(results_per_page=500)}


def insert(client: TableClient, row: str) -> None:
    client.create_entity({"PartitionKey": "p", "RowKey": row})


def test_sigint_flushes_everything(tmp_path: Path) -> None:
    azurite = start_azurite(tmp_path)
    with TableServiceClient.from_connection_string(azurite.connection_string) as client:
        table = client.create_table("jobs")
        for n in range(50):
            insert(table, f"row{n}")
        table.delete_entity("p", "row0")
        assert azurite.stop(signal.SIGINT) == 0
    azurite = start_azurite(tmp_path)
    try:
        with TableClient.from_connection_string(azurite.connection_string, "jobs") as table:
            assert rows(table) == {f"row{n}" for n in range(1, 50)}
    finally:
        azurite.stop()


def test_kill_9_loses_what_was_written_since_the_last_flush(tmp_path: Path) -> None:
    """Azurite answers a write before it is on disk; its file follows every 5 s. The product must live with that."""
    azurite = start_azurite(tmp_path)
    with TableServiceClient.from_connection_string(azurite.connection_string) as client:
        table = client.create_table("jobs")
        insert(table, "flushed")
        deadline = time.monotonic() + 20
        while "flushed" not in (azurite.file.read_text() if azurite.file.exists() else ""):
            assert time.monotonic() < deadline, "Azurite did not write its file within 20 s"
            time.sleep(0.05)
        insert(table, "lost")
        azurite.stop(signal.SIGKILL)
    azurite = start_azurite(tmp_path)
    try:
        with TableClient.from_connection_string(azurite.connection_string, "jobs") as table:
            assert rows(table) == {"flushed"}
    finally:
        azurite.stop()
