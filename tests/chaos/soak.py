"""Thousands of jobs under all faults at once, then the checker's verdict: `python -m tests.chaos.soak --seed N`.

The seed decides what is asked for: every job's plan, and which fault comes after which. When it strikes is a matter of
the machine's speed, so that a seed repeats the attempt, not the interleaving.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos import faults
from tests.chaos.checker import Verdict, check
from tests.chaos.client import Client
from tests.chaos.stack import LEASE_SECONDS, LOCK_SECONDS, ChaosStack, chaos_stack

#: After the last fault: a lease, a lock, five deliveries of a poison job, the janitor's grace, and work that piled up.
PATIENCE = 170
#: A verdict on a smaller share of the jobs that were to be submitted says nothing.
ENOUGH = 0.95
_JANITOR_SECONDS = 5
_BATCH = 100
_NO_ANSWER_SECONDS = 0.5
#: How long posts may go on after their time, where faults held them up.
_OVERTIME_SECONDS = 20
#: Results that are read once more at the end, to see that they have not changed.
_READ_AGAIN = 300
_MOMENTS = ("before_claim", "after_claim", "handler", "after_result", "after_status", "before_return")
_STATES = ("running", "completed", "failed", "retrying")
_STALL_SECONDS = LEASE_SECONDS + LOCK_SECONDS + 2
#: Of a thousand jobs, so many make their worker kill itself: each death costs all that the worker was running.
_CRASHES = 6
_PRIORITIES = ("critical", "high", "medium", "low")


@dataclass
class Soak:
    """What a soak did and what came of it."""

    seed: int
    verdict: Verdict
    staged: Counter[str] = field(default_factory=Counter)
    deaths: dict[str, int] = field(default_factory=dict)
    proxies: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0
    unasked_failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        staged = ", ".join(f"{name} {count}" for name, count in sorted(self.staged.items()))
        struck = "; ".join(f"{name}: {counts}" for name, counts in self.proxies.items())
        return "\n".join(
            [
                f"seed {self.seed}, {self.seconds:.0f} s",
                f"staged: {staged}",
                f"by the proxies: {struck}",
                f"deaths: {self.deaths}",
                f"failed without being asked to: {len(self.unasked_failures)}",
                *[f"  {text}" for text in self.unasked_failures[:10]],
                str(self.verdict),
            ]
        )


def run_soak(folder: Path, seed: int, jobs: int, seconds: float) -> Soak:
    """Submit `jobs` jobs while faults strike, for about `seconds`; wait for all to end, then judge."""
    begin = time.monotonic()
    workers: list[dict[str, str]] = [{}, {"CHAOS_CLOCK_SKEW": "-300"}]
    with chaos_stack(folder, seed, worker_env=workers) as stack:
        run = _Run(stack, seed, jobs)
        run.storm(seconds)
        left = run.calm()
        run.count_plans()
        soak = Soak(seed, check(stack.history.read()), run.staged)
        soak.unasked_failures = run.unasked_failures
        soak.proxies = {name: proxy.counts() for name, proxy in stack.proxies.items()}
        processes = [*stack.services.values(), *stack.hosts]
        soak.deaths = {name: sum(each.deaths for each in processes if each.name == name) for name in _names(processes)}
        assert len(left) == len(soak.verdict.stuck) + len(soak.verdict.lost), "the harness and the checker disagree"
    soak.seconds = time.monotonic() - begin
    return soak


def _names(processes: list[Any]) -> list[str]:
    return list(dict.fromkeys(process.name for process in processes))


def _small_faults(rng: random.Random) -> list[dict[str, Any]]:
    """What can go wrong with a job beside a dying process."""
    return [
        {"fail_times": rng.randrange(1, 4)},
        {"fail_permanently": True},
        {"snooze_seconds": round(rng.uniform(0.5, 2), 2)},
        {"duplicates": [0]},
        {"duplicates": [0.5, round(rng.uniform(2, 8), 2)]},
        {"lose_send_of_attempt": rng.choice([1, 1, 2]), "fail_times": 1},
        {"fail_write": rng.choice(_STATES), "fail_times": rng.randrange(2)},
        {"lose_write": rng.choice(_STATES), "fail_times": rng.randrange(2)},
    ]


def _without_lost_post(job: dict[str, Any]) -> dict[str, Any]:
    """One whose post gets its answer: a lost one would refuse the whole batch, whose jobs run all the same."""
    plan = job["payload"]
    lost = {"lose_send_of_attempt": 2} if "lose_send_of_attempt" in plan else {}
    return {**job, "payload": {**plan, **lost}}


class _Run:
    def __init__(self, stack: ChaosStack, seed: int, jobs: int) -> None:
        self.staged: Counter[str] = Counter()
        self.unasked_failures: list[str] = []
        self._stack = stack
        self._seed = seed
        self._jobs = jobs
        self._client = Client(stack.url, stack.history)
        self._over = threading.Event()
        self._ids: dict[str, dict[str, Any]] = {}

    def storm(self, seconds: float) -> None:
        """Submit, cancel, retry and look, under faults."""
        ends = time.monotonic() + seconds
        with ThreadPoolExecutor(4) as pool:
            background = [pool.submit(each) for each in (self._adversary, self._janitor, self._meddler)]
            self._submit_all(ends)
            self._over.wait(max(0.0, ends - time.monotonic()))
            self._over.set()
            for each in background:
                each.result()

    def calm(self) -> set[str]:
        """No more faults: wait until all have ended, and look at all of them once more; those that have not."""
        self._stack.calm()
        self._over.clear()
        janitor = threading.Thread(target=self._janitor)
        janitor.start()
        try:
            left = self._client.await_ends(self._ids, PATIENCE)
        finally:
            self._over.set()
            janitor.join()
        for job_id in random.Random(self._seed).sample(sorted(self._ids), min(_READ_AGAIN, len(self._ids))):
            self._client.read_result(job_id)
        self._note_unasked_failures()
        return left

    def _note_unasked_failures(self) -> None:
        """A job may fail for the deaths of others: it was run by five workers that died. That is told, not blamed."""
        ends = {event.job: event.state for event in self._stack.history.read() if event.kind == "result"}
        for job_id, plan in self._ids.items():
            if ends.get(job_id) == "failed" and not plan.get("fail_permanently"):
                view = self._client.read_result(job_id)
                self.unasked_failures.append(f"job {job_id}: {view and view['error']}, plan {plan}")

    def count_plans(self) -> None:
        """Add what the accepted jobs' plans asked for to what was staged."""
        for plan in self._ids.values():
            self.staged.update(
                f"job with {name}" for name in plan if name not in {"crash_at", "stall_seconds", "steps"}
            )
            if "crash_at" in plan:
                self.staged[f"crash {plan['crash_at']}"] += 1

    def _submit_all(self, ends: float) -> None:
        """Evenly over the time, in batches, one by one, and several at once under one key."""
        rng = random.Random(self._seed)
        rounds = max(1, self._jobs // (_BATCH + 10))
        begin = time.monotonic()
        with ThreadPoolExecutor(6) as pool:
            while len(self._ids) < self._jobs and time.monotonic() < ends + _OVERTIME_SECONDS:
                batch = [_without_lost_post(self._job(rng)) for _ in range(_BATCH)]
                singles = [(self._job(rng), "") for _ in range(7)]
                key, keyed = f"key-{rng.random()}", self._job(rng)
                singles += [(keyed, key)] * 3
                answered = pool.submit(self._client.submit_batch, batch)
                accepted = list(pool.map(self._submit, singles))
                for job_id, job in zip(answered.result(), batch, strict=True):
                    if job_id is not None:
                        self._ids[job_id] = job["payload"]
                refused = accepted.count(None)
                self.staged["posts refused"] += refused
                if refused == len(accepted):
                    self._over.wait(_NO_ANSWER_SECONDS)  # nobody is there: the front host is being started again
                due = begin + (ends - 10 - begin) * len(self._ids) / (rounds * (_BATCH + 10))
                self._over.wait(max(0.0, due - time.monotonic()))

    def _submit(self, single: tuple[dict[str, Any], str]) -> str | None:
        job, key = single
        options = {name: value for name, value in job.items() if name != "payload"}
        job_id = self._client.submit(job["payload"], key=key, **options)
        if job_id is not None:
            self._ids[job_id] = job["payload"]
        return job_id

    def _job(self, rng: random.Random) -> dict[str, Any]:
        """A job that goes well, or one that has something wrong with it."""
        plan: dict[str, Any] = {}
        options: dict[str, Any] = {"priority": rng.choice(_PRIORITIES)}
        if rng.random() < 0.1:
            plan |= {"sleep_seconds": round(rng.uniform(0.2, 3), 2), "steps": rng.randrange(5)}
        if rng.random() < 0.05:
            options["delay_seconds"] = round(rng.uniform(0.5, 5), 2)
        if rng.random() < _CRASHES / 1000:
            plan["crash_at"] = rng.choice(_MOMENTS)
        elif rng.random() < 0.0005:
            plan |= {"stall_at": rng.choice(_MOMENTS[1:]), "stall_seconds": _STALL_SECONDS}
        elif rng.random() < 0.15:
            plan |= rng.choice(_small_faults(rng))
        return {"payload": plan, **options}

    def _adversary(self) -> None:
        """One fault after another, in an order that the seed decides."""
        rng = random.Random(self._seed + 1)
        acts: list[tuple[str, Callable[[random.Random], None]]] = [
            ("kill -9 broker", lambda _: self._stack.kill("servicebus")),
            ("kill -9 table", lambda _: self._stack.kill("azurite")),
            ("kill -9 Cosmos", lambda _: self._stack.kill("cosmos")),
            ("kill -9 worker", lambda rng: self._end(rng.choice(self._stack.workers), signal.SIGKILL)),
            ("SIGTERM worker", lambda rng: self._end(rng.choice(self._stack.workers), signal.SIGTERM)),
            ("kill -9 front", lambda _: self._end(self._stack.hosts[0], signal.SIGKILL)),
            ("connections dropped", lambda _: self._drop()),
            ("half-open connections", self._freeze),
            ("50009", lambda rng: self._stack.busy(rng.randrange(5, 40))),
            ("errors of the table", lambda rng: self._errors("azurite", faults.table, rng)),
            ("errors of Cosmos", lambda rng: self._errors("cosmos", faults.cosmos, rng)),
            ("errors of both", self._errors_of_both),
        ]
        while not self._over.is_set():
            rng.shuffle(acts)
            for name, act in acts:
                if self._over.wait(rng.uniform(1, 5)):
                    return
                self.staged[name] += 1
                act(rng)

    @staticmethod
    def _end(process: Any, number: signal.Signals) -> None:
        process.wait_up(process.send(number))

    def _drop(self) -> None:
        self._stack.proxies["servicebus"].drop()

    def _freeze(self, rng: random.Random) -> None:
        """Nothing moves for a while; then the connections turn out to be dead."""
        proxy = self._stack.proxies["servicebus"]
        proxy.mode(freeze=rng.choice(["up", "down", "both"]))
        self._over.wait(rng.uniform(1, 6))
        proxy.drop()
        proxy.mode()

    def _errors(self, name: str, service: Callable[..., faults.Rule], rng: random.Random) -> None:
        rules = [service(status, share=rng.uniform(0.02, 0.2)) for status in faults.STATUSES]
        rules += [{"fault": fault, "share": 0.05, "seconds": 0.5} for fault in ("lose_answer", "drop", "delay")]
        rng.shuffle(rules)
        self._stack.proxies[name].rules(*rules)
        self._over.wait(rng.uniform(2, 6))
        self._stack.proxies[name].rules()

    def _errors_of_both(self, rng: random.Random) -> None:
        self._stack.proxies["cosmos"].rules(*(faults.cosmos(status, share=0.2) for status in faults.STATUSES))
        self._errors("azurite", faults.table, rng)
        self._stack.proxies["cosmos"].rules()

    def _janitor(self) -> None:
        """Rounds far more often than once a minute, now and then two at once."""
        rng = random.Random(self._seed + 2)
        while not self._over.wait(_JANITOR_SECONDS):
            for _ in range(rng.choice([1, 1, 2])):
                self._stack.janitor()

    def _meddler(self) -> None:
        """A client that looks at jobs, cancels some and starts some again."""
        rng = random.Random(self._seed + 3)
        while not self._over.wait(0.05):
            if not self._ids:
                continue
            job_id = rng.choice(list(self._ids)[-200:])
            act = rng.random()
            if act < 0.15:
                self.staged[f"cancel answered {self._client.cancel(job_id)}"] += 1
            elif act < 0.2 and self._client.observe(job_id) in {"failed", "cancelled"}:
                self.staged[f"retry answered {self._client.retry(job_id)}"] += 1
            elif act < 0.6:
                self._client.observe(job_id)
            else:
                self._client.read_result(job_id)


def main(argv: list[str]) -> int:
    """Run one soak and print it; 0 when the contract held."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--jobs", type=int, default=5200)
    parser.add_argument("--seconds", type=float, default=250, help="how long faults strike (default %(default)s)")
    options = parser.parse_args(argv)
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix="dtq-chaos-"))
    print(f"seed {seed}; history and logs in {folder}", flush=True)
    soak = run_soak(folder, seed, options.jobs, options.seconds)
    print(soak)
    if soak.verdict.accepted < ENOUGH * options.jobs:
        print(f"Only {soak.verdict.accepted} of {options.jobs} jobs were accepted: too few to say anything.")
        return 1
    return 0 if soak.verdict.holds else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
