"""Start Azurite's table service the way the local stack does, and stop it gently or not."""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.services import ROOT

MAIN = ROOT / "local/azurite/node_modules/azurite/dist/src/table/main.js"
ACCOUNT = "local"
ACCOUNT_KEY = "bG9jYWwtdGFibGUtc2VydmljZS1hY2NvdW50LWtleQ=="
STARTED = "Azurite Table service successfully started"


@dataclass
class Azurite:
    """A running table service; its data are in `location`."""

    process: subprocess.Popen[str]
    port: int
    location: Path

    @property
    def connection_string(self) -> str:
        endpoint = f"http://127.0.0.1:{self.port}/{ACCOUNT}"
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};TableEndpoint={endpoint};"

    @property
    def file(self) -> Path:
        """The one JSON file that Azurite rewrites every 5 s while there is something new."""
        return self.location / "__azurite_db_table__.json"

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """SIGINT is the signal that this service's entry point flushes on. Returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(20)


def start_azurite(location: Path) -> Azurite:
    """Raises AssertionError with what Azurite printed when it is not ready within 30 s."""
    if not MAIN.exists():
        pytest.fail("Azurite is not installed: run `npm ci --prefix local/azurite` (Node 20 or later).", pytrace=False)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *("node", str(MAIN), "--tableHost", "127.0.0.1", "--tablePort", str(port), "--location", str(location)),
        *("--silent", "--disableTelemetry", "--skipApiVersionCheck"),
    ]
    process = subprocess.Popen(
        command,
        env={**os.environ, "AZURITE_ACCOUNTS": f"{ACCOUNT}:{ACCOUNT_KEY}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    printed: list[str] = []
    ready: queue.Queue[bool] = queue.Queue()

    def read() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if line.startswith(STARTED):
                ready.put(True)
        ready.put(False)

    threading.Thread(target=read, daemon=True).start()
    try:
        started = ready.get(timeout=30)
    except queue.Empty:
        started = False
    if not started:
        process.kill()
        process.wait()
        raise AssertionError("Azurite did not start:\n" + "".join(printed))
    return Azurite(process, port, location)
