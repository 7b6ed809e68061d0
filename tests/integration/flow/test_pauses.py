"""A paused queue on a running stack: nothing of it starts, it takes jobs, and it stays so whatever is restarted."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.integration.flow.board import Board, started
from tests.integration.supervisor.running import RunningStack
from tests.integration.supervisor.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(240)]

#: A pause holds within two seconds of its answer.
HELD_AFTER = timedelta(seconds=2)


def running_since(board: Board, begin: datetime) -> list[dict[str, Any]]:
    """The low jobs that started well after the pause."""
    jobs = [job for job in board.jobs("low").values() if job["started_at"]]
    return [job for job in jobs if started(job) > begin + HELD_AFTER]


def test_a_paused_queue_holds_through_a_kill_of_the_broker_and_a_restart(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data")
    try:
        board = Board(stack.url)
        low = board.submit("low", 0.05, count=200)
        wait_until(lambda: any(job["started_at"] for job in board.jobs("low").values()), "the first low job")
        answer = board.pause("low", "for a test")
        paused_at = datetime.now(UTC)
        assert (answer["priority"], answer["paused"]["reason"]) == ("low", "for a test")
        low += board.submit("low", 0.05, count=10)
        _others_run(board)
        os.kill(stack.processes["servicebus"], signal.SIGKILL)
        _others_run(board)
        assert stack.stop() == 0

        stack = RunningStack(tmp_path / "data")
        board = Board(stack.url)
        low += board.submit("low", 0.05, count=10)
        _others_run(board)
        wait_until(lambda: datetime.now(UTC) > paused_at + 2 * HELD_AFTER, "a moment in which low jobs might start")
        assert running_since(board, paused_at) == []
        assert any(job["state"] == "queued" for job in board.jobs("low").values()), "the test staged nothing"

        assert board.resume("low")["paused"] is None
        board.ended("low", low, 120)
        assert stack.stop() == 0
    finally:
        stack.kill()


def _others_run(board: Board) -> None:
    for priority in ("critical", "medium"):
        board.ended(priority, board.submit(priority, 0), 60)
