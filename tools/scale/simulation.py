"""A burst of jobs meets Service Bus' credits and a platform that adds instances: a discrete-event simulation (SimPy).

What it takes for granted, with where it is from:
- Service Bus Standard grants a namespace 1,000 credits a second; a send and a receive cost one each, and a request
  beyond them waits (azure-docs, service-bus-throttling). Premium has no such limit; its own, CPU, is not simulated.
- Flex Consumption wants as many instances as backlog / maxConcurrentCalls and adds up to four at a time
  (azure-docs, functions-target-based-scaling), here every five seconds; an instance is ready after 2 to 10 seconds, the
  first after scale to zero after 60 (reported up to two minutes; azure-functions-host #10706).
- A job costs what `tools/cost/operations.py` says, which a test counts.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from typing import Any

import msgspec
import simpy

from tools.cost.operations import JOB

CREDITS_A_SECOND = 1_000
#: Credits are handed out so often, in seconds.
TICK = 0.1
SCALE_INTERVAL = 5.0
SCALE_STEP = 4
READY_SECONDS = (2.0, 10.0)
#: An instance with nothing to do is taken away after so long, in seconds.
IDLE_SECONDS = 60.0
#: The simulation gives up after so long, in simulated seconds.
LONGEST = 4 * 3600

Step = Generator[simpy.Event, Any, None]


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A burst and what meets it."""

    name: str
    jobs: int = 60_000
    #: Jobs a second that clients submit, as far as the broker takes them.
    submit_rate: float = 3_000
    run_seconds: float = 0.5
    #: Messages that an instance holds at a time (maxConcurrentCalls in host.json), by which the platform scales, and
    #: jobs that it runs at once (DTQ_SLOTS).
    calls: int = 24
    slots: int = 16
    max_instances: int = 250
    #: Namespaces of the Standard tier; 0: Premium.
    namespaces: int = 1
    #: Instances that are always ready.
    warm: int = 0
    cold_seconds: float = 60
    seed: int = 1


class Sample(msgspec.Struct, frozen=True):
    """How things stand at a second."""

    second: int
    waiting: int
    instances: int
    completed: int


class Outcome(msgspec.Struct, frozen=True):
    """What became of a burst: samples a second, credits spent in each second, and how long each job waited, from when
    its client wanted to submit it to its start."""

    scenario: Scenario
    samples: list[Sample]
    waits: list[float]
    credits: dict[int, int]

    @property
    def seconds(self) -> int:
        """Until the last job had ended."""
        return self.samples[-1].second

    @property
    def peak_instances(self) -> int:
        """The most instances at once."""
        return max(sample.instances for sample in self.samples)

    def wait(self, share: float) -> float:
        """The wait that so large a share of the jobs did not exceed, in seconds."""
        return sorted(self.waits)[min(len(self.waits) - 1, int(share * len(self.waits)))]


def simulate(scenario: Scenario) -> Outcome:
    """Run the burst to its end. Raises RuntimeError when it has none."""
    burst = _Burst(scenario)
    burst.env.run(until=LONGEST)
    if burst.completed < scenario.jobs:
        raise RuntimeError(f"{scenario.name}: {scenario.jobs - burst.completed} jobs did not end within {LONGEST} s.")
    return Outcome(scenario, burst.samples, burst.waits, burst.credits)


class _Burst:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.env = simpy.Environment()
        self.rng = random.Random(scenario.seed)  # noqa: S311 - nothing is kept secret with it
        self.queue: simpy.Store = simpy.Store(self.env)
        grant = CREDITS_A_SECOND * TICK * max(1, scenario.namespaces)
        self.bucket = simpy.Container(self.env, capacity=grant, init=grant)
        self.submitted = self.completed = self.instances = self.starting = 0
        self.samples: list[Sample] = []
        self.waits: list[float] = []
        self.credits: dict[int, int] = {}
        for process in (self._submit(), self._grant(grant), self._scale(), self._watch()):
            self.env.process(process)
        for _ in range(scenario.warm):
            self._begin_instance()

    @property
    def over(self) -> bool:
        return self.completed >= self.scenario.jobs

    def _spend(self, amount: int) -> Step:
        if self.scenario.namespaces:
            yield self.bucket.get(amount)
        second = int(self.env.now)
        self.credits[second] = self.credits.get(second, 0) + amount

    def _grant(self, grant: float) -> Step:
        while not self.over:
            yield self.env.timeout(TICK)
            missing = grant - self.bucket.level
            if missing > 0:
                yield self.bucket.put(missing)

    def _submit(self) -> Step:
        for number in range(self.scenario.jobs):
            due = number / self.scenario.submit_rate
            if due > self.env.now:
                yield self.env.timeout(due - self.env.now)
            yield from self._spend(JOB.sends)
            self.submitted += 1
            self.queue.put(due)

    def _scale(self) -> Step:
        while not self.over:
            yield self.env.timeout(SCALE_INTERVAL)
            backlog = self.submitted - self.completed
            wanted = min(self.scenario.max_instances, -(-backlog // self.scenario.calls))
            for _ in range(min(SCALE_STEP, wanted - self.instances - self.starting)):
                from_zero = self.instances == 0
                self.starting += 1
                self.env.process(
                    self._start(self.scenario.cold_seconds if from_zero else self.rng.uniform(*READY_SECONDS))
                )

    def _start(self, seconds: float) -> Step:
        yield self.env.timeout(seconds)
        self.starting -= 1
        self._begin_instance()

    def _begin_instance(self) -> None:
        self.instances += 1
        slots = [self.env.process(self._slot()) for _ in range(self.scenario.slots)]
        self.env.process(self._end_instance(slots))

    def _end_instance(self, slots: list[simpy.Process]) -> Step:
        yield self.env.all_of(slots)
        self.instances -= 1

    def _slot(self) -> Step:
        """Take jobs one after the other, until there has been none for a while."""
        while True:
            message = self.queue.get()
            yield message | self.env.timeout(IDLE_SECONDS)
            if not message.triggered:
                message.cancel()
                return
            yield from self._spend(JOB.receives)
            self.waits.append(self.env.now - _value(message))
            yield self.env.timeout(self.rng.expovariate(1 / self.scenario.run_seconds))
            self.completed += 1

    def _watch(self) -> Step:
        second = 0
        while True:
            self.samples.append(Sample(second, len(self.queue.items), self.instances, self.completed))
            if self.over:
                return
            second += 1
            yield self.env.timeout(1)


def _value(event: simpy.Event) -> float:
    value = event.value
    assert isinstance(value, float)  # noqa: S101 - `_submit` puts nothing else
    return value
