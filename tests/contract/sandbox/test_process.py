"""The sandbox as a process: light, quick to stop, plain about a busy port."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.services import ROOT, running


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_it_stays_below_42_mib_after_some_hundred_answers() -> None:
    with running("sandbox", "--port", "0") as service, requests.Session() as session:
        for _ in range(300):
            session.get(f"{service.url}/github/users/octocat", timeout=5)
        lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    assert next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) <= 42 * 1024


def test_a_signal_stops_it_with_status_0_though_an_answer_is_held_back() -> None:
    with running("sandbox", "--port", "0") as service:
        requests.put(f"{service.url}/_control/quotes", json={"delay_seconds": 60}, timeout=5)
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{service.url}/quotes/api/quotes/random", timeout=0.1)
        assert service.stop(timeout=5) == 0


def test_a_busy_port_is_named() -> None:
    with running("sandbox", "--port", "0") as service:
        second = subprocess.run(
            [sys.executable, "-m", "local", "sandbox", "--port", str(service.port)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    assert second.returncode == 1
    assert f"cannot listen on port {service.port}" in second.stderr
    assert "--port" in second.stderr
