"""One stack under faults for the tests of single faults; each test has jobs of its own and leaves no fault behind."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from tests.chaos.checker import Verdict, check
from tests.chaos.client import Client
from tests.chaos.history import Event
from tests.chaos.stack import ChaosStack, chaos_stack

_JANITOR_SECONDS = 4


class Lab:
    """A stack, its client, and the verdict on what a test has done with them."""

    def __init__(self, stack: ChaosStack) -> None:
        self.stack = stack
        self.client = Client(stack.url, stack.history)

    def wait_for(self, jobs: Iterable[str | None], seconds: float = 90) -> set[str]:
        """Wait for the ends of jobs that were all accepted, the janitor at work; those that have not ended."""
        ids = [job_id for job_id in jobs if job_id is not None]
        over = threading.Event()

        def clean() -> None:
            while not over.wait(_JANITOR_SECONDS):
                self.stack.janitor()

        janitor = threading.Thread(target=clean)
        janitor.start()
        try:
            return self.client.await_ends(ids, seconds)
        finally:
            over.set()
            janitor.join()

    def await_quiet(self, jobs: Iterable[str | None], seconds: float) -> None:
        """Wait until whoever stood still has gone on and done what it had in mind, then look at the results again."""
        ids = [job_id for job_id in jobs if job_id is not None]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(self._is_awaited(job_id) for job_id in ids):
            time.sleep(0.1)
        time.sleep(2)  # what it does next is a write that is refused: nothing tells when
        self.client.await_ends(ids, seconds)

    def _is_awaited(self, job_id: str) -> bool:
        stalls = self.events(job_id, "stall")
        return bool(stalls) and not self.events(job_id, "moved")

    def verdict(self, jobs: Iterable[str | None]) -> Verdict:
        """The checker's, on these jobs alone."""
        wanted = set(jobs)
        return check(event for event in self.stack.history.read() if event.job in wanted or not event.job)

    def require_ends(self, jobs: Iterable[str | None], state: str = "completed", seconds: float = 90) -> None:
        """Assert that all were accepted, end in `state` in time, and that the contract held for them."""
        ids = list(jobs)
        assert None not in ids, "a job was not accepted"
        self.wait_for(ids, seconds)
        verdict = self.verdict(ids)
        assert verdict.holds, str(verdict)
        assert verdict.ended == {state: len(set(ids))}, str(verdict)

    def events(self, job_id: str | None, kind: str) -> list[Event]:
        """What happened to a job, of one kind."""
        return [event for event in self.stack.history.read() if (event.job, event.kind) == (job_id, kind)]


@contextlib.contextmanager
def open_lab(folder: Path, **options: object) -> Iterator[Lab]:
    """A lab of its own for a test that needs special processes. Prints the seed."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with chaos_stack(folder, seed, **options) as stack:
        yield Lab(stack)


@pytest.fixture(scope="session")
def shared_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with open_lab(tmp_path_factory.mktemp("chaos"), worker_env=[{}, {}]) as lab:
        yield lab


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """The shared lab, all of it up; faults of the proxies end with the test."""
    stack = shared_lab.stack
    for process in (*stack.services.values(), *stack.hosts):
        process.wait_up()
    yield shared_lab
    stack.calm()
