"""The product's own function app, loaded and invoked by Microsoft's worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.contract.worker.conftest import Worker
from tests.contract.worker.environment import ROOT

pytestmark = pytest.mark.xdist_group("worker")  # one process holds what the fixtures start

#: Addresses that need not answer: loading the app and its health probe touch no service.
SETTINGS = {
    "ServiceBusConnection": "Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true;",
    "TablesConnection": "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=Yg==;TableEndpoint=http://127.0.0.1:1/a;",
    "CosmosConnection": "AccountEndpoint=http://127.0.0.1:1/;AccountKey=Yg==;",
    "AzureSignalRConnectionString": "Endpoint=http://127.0.0.1:1;AccessKey=b;Version=1.0;",
}


def call(name: str, method: str, path: str, body: str = "") -> dict[str, object]:
    url = f"http://127.0.0.1:7071/api/{path}"
    http = {"method": method, "url": url, "headers": {}, "query": {}, "route": {}, "body": body}
    return {"function": name, "http": http}


@pytest.mark.skipif(not (ROOT / "function_app.py").exists(), reason="there is no function_app.py yet")
def test_the_app_is_loaded_and_answers(worker: Worker) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "local", "host", "--app", str(ROOT), "--list"],
        cwd=ROOT,
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert listed.returncode == 0, listed.stderr
    ours = {function["name"]: function["bindings"] for function in json.loads(listed.stdout)}
    (theirs,) = worker([{"app": str(ROOT), "calls": [call("healthz", "GET", "healthz")]}], SETTINGS)
    assert "error" not in theirs, theirs
    assert {function["name"]: function["bindings"] for function in theirs["functions"]} == ours
    (health,) = theirs["outcomes"]
    assert int(health["status"]) == 200
    assert json.loads(health["body"]) == {"status": "ok"}
