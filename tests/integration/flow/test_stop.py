"""A worker that is stopped while jobs wait for a slot in it."""

from __future__ import annotations

import itertools
import os
import signal
from pathlib import Path

import pytest

from tests.integration.flow.board import Board, started
from tests.integration.supervisor.running import RunningStack
from tests.integration.supervisor.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("stack"), pytest.mark.timeout(180)]

RUN_SECONDS = 4


def test_it_ends_what_runs_and_sends_back_what_waits(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data", env={"DTQ_SLOTS": "1"})
    try:
        board = Board(stack.url)
        runs = board.submit("low", RUN_SECONDS)
        wait_until(lambda: board.jobs("low")[runs[0]]["state"] == "running", "the run of the first job")
        waiting = board.submit("low", RUN_SECONDS, count=3)  # 12 s more, if the stop had to wait for them
        (cancelled,) = board.submit("low", RUN_SECONDS)
        assert board.call("DELETE", f"/jobs/{cancelled}")["state"] == "cancelled"
        name, worker = next(entry for entry in stack.processes.items() if "worker" in entry[0])
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda: stack.processes.get(name, worker) != worker, "another worker", 60)
        done = board.jobs("low")
        assert done[runs[0]]["state"] == "completed"
        assert [done[job_id]["state"] for job_id in waiting].count("queued") >= 2, "the stopping worker began with them"
        ended = board.ended("low", [*runs, *waiting], 90)
        assert {job["attempt"] for job in ended} == {1}
        assert board.jobs("low")[cancelled]["started_at"] is None
        starts = sorted(started(job) for job in ended)
        assert all((after - before).total_seconds() >= RUN_SECONDS for before, after in itertools.pairwise(starts))
    finally:
        stack.kill()
