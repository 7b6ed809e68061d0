"""The harness itself: processes that are killed and come again."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from tests.chaos.stack import Process, Started
from tests.integration.supervisor.waiting import wait_until


def test_whoever_signals_a_process_that_is_down_waits_for_its_return_not_for_another_death(tmp_path: Path) -> None:
    again = threading.Event()

    def start() -> Started:
        if process_began.is_set():
            assert again.wait(30), "the test never let it start again"
        process_began.set()
        return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], text=True), []

    process_began = threading.Event()
    process = Process("sleeper", start, tmp_path / "log")
    try:
        process.wait_up()
        assert process.send() == 1
        wait_until(lambda: process.deaths == 1, "its death")
        deaths = process.send()
        again.set()
        process.wait_up(deaths, 30)
        assert process.send() == 2
        process.wait_up(2, 30)
    finally:
        again.set()
        process.stop(signal.SIGKILL)
