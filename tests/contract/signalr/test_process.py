"""The emulator as a process: light, and plain about what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.signalr.service import HUB, KEY, Rest
from tests.services import ROOT, running


def start(*arguments: str, key: str | None) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "SIGNALR_KEY"}
    if key is not None:
        environment["SIGNALR_KEY"] = key
    command = [sys.executable, "-m", "local", "signalr", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize("key", [None, ""])
def test_a_missing_key_is_named(key: str | None) -> None:
    ended = start("--port", "0", key=key)
    assert ended.returncode == 2
    assert "SIGNALR_KEY" in ended.stderr


def test_a_busy_port_is_named() -> None:
    with running("signalr", "--port", "0", env={"SIGNALR_KEY": KEY}) as service:
        second = start("--port", str(service.port), key=KEY)
    assert second.returncode == 1
    assert f"cannot listen on port {service.port}" in second.stderr
    assert "--port" in second.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_it_stays_below_42_mib_after_some_hundred_sends() -> None:
    with running("signalr", "--port", "0", env={"SIGNALR_KEY": KEY}) as service:
        rest = Rest(service.url)
        for number in range(300):
            rest.send("/users/nobody", number)
        rest.call("POST", f"/api/hubs/{HUB}/:generateToken")
        rest.close()
        lines = Path(f"/proc/{service.process.pid}/status").read_text().splitlines()
    assert next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) <= 42 * 1024
