"""The product on the local services with a wiretap before each of them, and an ingestion endpoint for its telemetry."""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

from tests.contract.ports import services
from tests.contract.tables.azurite import ACCOUNT, ACCOUNT_KEY, start_azurite
from tests.cost.wiretap import Wiretap
from tests.services import ROOT, running
from tests.telemetry.ingestion import Ingestion


class TappedStack:
    """What a client and an accountant see of it."""

    def __init__(self, url: str, wiretap: Wiretap, ingestion: Ingestion) -> None:
        self.url = url
        self.wiretap = wiretap
        self.ingestion = ingestion

    def run(self, number: int, payload: dict[str, Any]) -> None:
        """Submit jobs one by one and wait, without asking the app, until their telemetry says that all have ended."""
        for job_id in [self.submit(payload) for _ in range(number)]:
            self.wait_ended(job_id)

    def submit(self, payload: dict[str, Any]) -> str:
        """Submit a job; its id."""
        body = {"job_type": "test_task", "payload": payload, "max_retries": 1}
        answer = requests.post(f"{self.url}/api/v1/jobs", json=body, timeout=30)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    def counted(self, number: int, payload: dict[str, Any]) -> Counter[tuple[str, str, str]]:
        """The operations of so many jobs and of the time that they took."""
        before = self.wiretap.counts.copy()
        self.run(number, payload)
        time.sleep(1.5)  # counters are written up to a second later
        return self.wiretap.counts - before

    def wait_ended(self, job_id: str) -> None:
        """Return once the telemetry of a job's last attempt and of its submission are there."""

        def spans() -> list[dict[str, Any]]:
            data = [each["data"]["baseData"] for each in self.ingestion.of("RequestData")]
            return [each for each in data if each["properties"].get("job_id") == job_id]

        def ended() -> bool:
            results = {each["responseCode"] for each in spans()}
            return "202" in results and bool(results & {"completed", "failed"})

        self.ingestion.wait_for(ended, f"end of job {job_id}", 60)


@contextlib.contextmanager
def tapped_stack(folder: Path) -> Iterator[TappedStack]:
    """The stack for the length of a `with` block: front and worker in processes of their own."""
    with contextlib.ExitStack() as stack:
        wiretap = Wiretap()
        stack.callback(wiretap.close)
        ingestion = stack.enter_context(Ingestion())
        azurite = start_azurite(folder / "azurite")
        stack.callback(azurite.stop)

        def service(name: str, *options: str) -> int:
            return stack.enter_context(running(name, "--port", "0", *options, env=services.KEYS)).port

        broker = service("servicebus", "--data", os.fspath(folder / "servicebus.db"))
        tables = wiretap.http("tables", azurite.port)
        settings = {
            # The broker's administration API shares its port; an AMQP tap passes HTTP on as frames would be, so that
            # what asks for it goes there directly: only the janitor does, which is not called here.
            "ServiceBusConnection": services.service_bus(wiretap.amqp("servicebus", broker)).connection_string,
            "TablesConnection": (
                f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};"
                f"TableEndpoint=http://127.0.0.1:{tables}/{ACCOUNT};"
            ),
            "CosmosConnection": services.cosmos(
                wiretap.http("cosmos", service("cosmos", "--data", os.fspath(folder / "cosmos.db")))
            ).connection_string,
            "AzureSignalRConnectionString": services.signalr(
                wiretap.http("signalr", service("signalr"))
            ).connection_string,
            "APPLICATIONINSIGHTS_CONNECTION_STRING": ingestion.connection_string,
        }
        arguments = ("--app", os.fspath(ROOT), "--port", "0", "--state", os.fspath(folder / "host"))
        front = stack.enter_context(running("host", *arguments, "--group", "http", env=settings))
        stack.enter_context(running("host", *arguments, "--group", "servicebus", env=settings))
        yield TappedStack(front.url, wiretap, ingestion)
