"""`python -m local.demo`, which `make demo` runs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from local.demo.board import MILESTONES, Board
from tests.services import ROOT

pytestmark = pytest.mark.xdist_group("stack")


def demo(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local.demo"]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=100, check=False
    )


def job(progress: int, state: str = "running") -> Mapping[str, object]:
    return {"job_id": "1", "state": state, "progress": progress, "message": f"at {progress}"}


def test_every_type_completes_before_ones_eyes() -> None:
    answer = demo()
    assert answer.returncode == 0, answer.stdout + answer.stderr
    lines = answer.stdout.splitlines()
    for name in ("exchange_rate", "github_user", "quote", "test_task", "weather"):
        drawn = [line for line in lines if line.strip().startswith(f"{name} ")]
        assert any("100 %  completed" in line for line in drawn), answer.stdout
        assert f"\n{name}\n  {{" in answer.stdout  # its result
    assert "temperature" in answer.stdout
    assert "never reported" not in answer.stdout
    assert lines[-1].startswith("All 5 jobs completed")


def test_a_stack_that_does_not_come_up_is_shown_with_its_log() -> None:
    answer = demo(PATH="/nonexistent")
    assert answer.returncode == 1
    assert "The demo failed: the stack stopped before it was ready" in answer.stdout
    assert "giving up: node is not installed" in answer.stdout


def test_a_board_draws_each_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    board = Board(["weather"])
    board.add("weather", "1")
    for change in (job(20), job(20), {**job(50), "job_id": "another"}, job(100, "completed")):
        board.show(dict(change))
    assert board.finished
    assert MILESTONES - board.seen("weather") == {50, 80}
    assert capsys.readouterr().out.splitlines() == [
        "  weather  ████░░░░░░░░░░░░░░░░  20 %  running    at 20",
        "  weather  ████████████████████ 100 %  completed  at 100",
    ]
