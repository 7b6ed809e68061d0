"""The smoke test that follows a deployment goes well on a stack that is well, and fails where nothing answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.supervisor.running import RunningStack
from tests.services import ROOT

pytestmark = pytest.mark.xdist_group("stack")


def smoke(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "tools" / "smoke.py"), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_it_goes_well_on_a_running_stack(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    try:
        done = smoke("--api", stack.url, "--page", stack.url, "--patience", "30")
        misled = smoke("--api", stack.url, "--page", f"{stack.url}/nowhere", "--patience", "0")
    finally:
        stack.stop()
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("ok: ") == 5
    assert misled.returncode == 1
    assert "FAILED: the page is there" in misled.stderr


def test_it_names_the_step_that_fails() -> None:
    failed = smoke("--api", "http://127.0.0.1:9", "--patience", "0")
    assert failed.returncode == 1
    assert failed.stderr.startswith("FAILED: the process answers: http://127.0.0.1:9/api/healthz cannot be reached")
