"""Telemetry must not slow the app's start: nothing of it is imported before there is something to tell."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.contract.worker.test_product import SETTINGS
from tests.services import ROOT
from tests.telemetry.ingestion import INSTRUMENTATION_KEY

_PROGRAM = """
import json, sys, threading, time
begun = time.perf_counter()
import function_app
from shared.composition import services, settings, telemetry
assert settings().telemetry is not None
telemetry()
started = time.perf_counter() - begun
heavy = [name for name in ("opencensus", "google.protobuf", "azure.identity", "requests") if name in sys.modules]
threads = threading.active_count()
telemetry().measure("first use", 1)
used = time.perf_counter() - begun - started
telemetry()._starter.join(30)
sys.stdout.write(json.dumps({"heavy": heavy, "threads": threads, "started": started, "used": used,
                             "after": "opencensus" in sys.modules}))
"""


def test_the_exporters_are_imported_by_a_thread_at_first_use_and_not_before() -> None:
    answer = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=ROOT,
        env={
            **os.environ,
            **SETTINGS,
            "APPLICATIONINSIGHTS_CONNECTION_STRING": (
                f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint=http://127.0.0.1:9/"
            ),
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    seen = json.loads(answer.stdout)
    print(seen)
    assert seen["heavy"] == []
    assert seen["threads"] == 1
    assert seen["after"], "or the rest of this test shows nothing"
