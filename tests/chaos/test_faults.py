"""Each fault by itself: what the product makes of it, judged by the history of the jobs that met it."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    ServiceBusSender,
)

from shared.composition import utc_now
from shared.jobs.ids import new_job_id
from shared.jobs.model import Job, JobState, Priority
from tests.chaos import faults
from tests.chaos.conftest import Lab

pytestmark = [pytest.mark.xdist_group("chaos"), pytest.mark.timeout(240)]

BEFORE_THE_RESULT = ("before_claim", "after_claim", "handler")
AFTER_THE_RESULT = ("after_result", "after_status", "before_return")


def submit(lab: Lab, count: int, **plan: Any) -> list[str | None]:
    return lab.client.submit_batch([{"payload": plan}] * count)


def when(lab: Lab, kind: str, jobs: list[str | None], count: int = 1) -> None:
    """Return once `count` of the jobs have an event of that kind."""
    deadline = time.monotonic() + 60
    while sum(bool(lab.events(job, kind)) for job in jobs) < count:
        assert time.monotonic() < deadline, f"no {kind} of {count} jobs"
        time.sleep(0.05)


@contextlib.contextmanager
def medium_queue(lab: Lab) -> Iterator[tuple[ServiceBusSender, ServiceBusReceiver]]:
    """The queue of priority medium, past the proxies."""
    connection = lab.stack.direct_settings["ServiceBusConnection"]
    with (
        ServiceBusClient.from_connection_string(connection) as client,
        client.get_queue_sender("jobs-medium") as sender,
        client.get_queue_receiver("jobs-medium", prefetch_count=0) as receiver,
    ):
        yield sender, receiver


@pytest.fixture(scope="module")
def killed(shared_lab: Lab) -> dict[str, str | None]:
    """A job for each boundary. Each has its crash before the next comes, which could die of it otherwise, at a boundary
    of its own; their ends are waited for together, for that is mostly waiting for locks."""
    jobs: dict[str, str | None] = {}
    for moment in (*BEFORE_THE_RESULT, *AFTER_THE_RESULT):
        jobs[moment] = shared_lab.client.submit({"crash_at": moment})
        when(shared_lab, "crash", [jobs[moment]])
    shared_lab.wait_for(jobs.values())
    return jobs


class TestKilledWorker:
    """kill -9 of a worker, by itself, at each boundary."""

    @pytest.mark.parametrize("moment", BEFORE_THE_RESULT)
    def test_before_the_result_is_written_the_handler_runs_again(
        self, lab: Lab, killed: dict[str, str | None], moment: str
    ) -> None:
        lab.require_ends([killed[moment]])
        assert len(lab.events(killed[moment], "crash")) == 1
        assert lab.events(killed[moment], "effect")

    @pytest.mark.parametrize("moment", AFTER_THE_RESULT)
    def test_after_the_result_is_written_the_handler_does_not_run_again(
        self, lab: Lab, killed: dict[str, str | None], moment: str
    ) -> None:
        lab.require_ends([killed[moment]])
        assert len(lab.events(killed[moment], "crash")) == 1
        crash = lab.events(killed[moment], "crash")[0]
        assert not [start for start in lab.events(killed[moment], "start") if start.at > crash.at]


@pytest.mark.parametrize("service", ["servicebus", "cosmos", "azurite"])
def test_kill_9_of_a_service_under_jobs(lab: Lab, service: str) -> None:
    jobs = submit(lab, 40, sleep_seconds=1, steps=3)
    when(lab, "start", jobs, 5)
    lab.stack.kill(service)
    lab.require_ends(jobs)


@pytest.mark.parametrize("after", [[0], [0, 0.3, 3]], ids=["at once", "and later"])
def test_a_message_that_is_delivered_again_runs_the_job_once(lab: Lab, after: list[float]) -> None:
    jobs = [*submit(lab, 5, duplicates=after), *submit(lab, 5, duplicates=after, sleep_seconds=0.5)]
    lab.require_ends(jobs)
    time.sleep(max(after))  # nothing signals that a late copy was dropped
    lab.require_ends(jobs)
    assert [len(lab.events(job, "start")) for job in jobs] == [1] * 10


@pytest.mark.parametrize(("moment", "successor"), [("handler", "start"), ("after_result", "status")])
def test_an_owner_that_stands_still_past_lease_and_lock_writes_nothing_over_its_successor(
    lab: Lab, moment: str, successor: str
) -> None:
    # The broker may hand the message to the one that stands still again, and again: it waits for its successor.
    job = lab.client.submit({"stall_at": moment, "stall_until": successor, "stall_seconds": 60})
    lab.require_ends([job])
    assert len(lab.events(job, "stall")) == 1
    assert len(lab.events(job, "start")) == (2 if moment == "handler" else 1)
    when(lab, "end", [job])
    lab.require_ends([job])


def test_a_post_whose_send_arrived_unanswered_is_503_and_its_repeat_is_the_same_job(lab: Lab) -> None:
    key = f"key-{random.random()}"
    assert lab.client.submit({"lose_send_of_attempt": 1, "sleep_seconds": 0.2}, key=key) is None
    job = lab.client.submit({"lose_send_of_attempt": 1, "sleep_seconds": 0.2}, key=key)
    lab.require_ends([job])
    assert len(lab.events(job, "start")) == 1


def test_a_retry_whose_send_arrived_unanswered_runs_once(lab: Lab) -> None:
    job = lab.client.submit({"lose_send_of_attempt": 2, "fail_times": 1})
    lab.require_ends([job])
    assert [start.attempt for start in lab.events(job, "start")] == [1, 2]


@pytest.mark.parametrize("fault", ["fail_write", "lose_write"])
def test_the_status_write_of_each_state_fails(lab: Lab, fault: str) -> None:
    """Before it is made, and after. Those of `retrying` and `failed` come after a message was sent, or before one."""
    states = ("running", "retrying", "completed")
    jobs = [lab.client.submit({fault: state, "fail_times": int(state == "retrying")}) for state in states]
    failing = lab.client.submit({fault: "failed", "fail_permanently": True})
    lab.require_ends(jobs)
    lab.require_ends([failing], "failed")


@pytest.mark.parametrize("status", faults.STATUSES)
@pytest.mark.parametrize("service", ["azurite", "cosmos"])
def test_errors_of_a_store(lab: Lab, service: str, status: int) -> None:
    jobs = submit(lab, 8, sleep_seconds=0.1)
    rule = faults.table if service == "azurite" else faults.cosmos
    # As many as defeat the SDK's own tries at least once.
    lab.stack.proxies[service].rules(rule(status, times=12))
    jobs += [lab.client.submit({}) for _ in range(4)]
    lab.require_ends([job for job in jobs if job is not None])


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
@pytest.mark.parametrize("service", ["azurite", "cosmos"])
def test_a_store_whose_answers_are_lost(lab: Lab, service: str, fault: str) -> None:
    lab.stack.proxies[service].rules({"fault": fault, "share": 0.3, "times": 40})
    jobs = submit(lab, 10, sleep_seconds=0.1) + [lab.client.submit({}) for _ in range(5)]
    lab.require_ends([job for job in jobs if job is not None])


def test_a_throttled_broker_is_503_with_retry_after_and_nothing_is_left_behind(lab: Lab) -> None:
    lab.stack.busy(1000)
    answer = lab.client.call("POST", "/jobs", json={"job_type": "chaos", "tags": ["throttled"]})
    lab.stack.busy(0)
    assert answer is not None
    assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    listed = lab.client.call("GET", "/jobs", params={"limit": 200})
    assert listed is not None
    assert not [job for job in listed.json()["jobs"] if job["tags"] == ["throttled"]]


def test_a_broker_that_throttles_workers_delays_their_retries(lab: Lab) -> None:
    jobs = submit(lab, 5, fail_times=1, sleep_seconds=0.5)
    lab.stack.busy(9)
    lab.require_ends(jobs)


def test_connections_to_the_broker_that_break(lab: Lab) -> None:
    jobs = submit(lab, 30, sleep_seconds=0.5, steps=2)
    for _ in range(4):
        when(lab, "start", jobs, 5)
        assert lab.stack.proxies["servicebus"].drop()
        jobs += submit(lab, 2)
    lab.require_ends([job for job in jobs if job is not None])


@pytest.mark.parametrize("direction", ["up", "down"])
def test_connections_to_the_broker_that_are_half_open(lab: Lab, direction: str) -> None:
    """A post gets its answer in time, and the jobs end once the connections have turned out to be dead."""
    jobs = submit(lab, 20, sleep_seconds=0.3)
    when(lab, "start", jobs, 2)
    proxy = lab.stack.proxies["servicebus"]
    proxy.mode(freeze=direction)
    begin = time.monotonic()
    jobs.append(lab.client.submit({}))
    taken = time.monotonic() - begin
    proxy.drop()
    proxy.mode()
    lab.require_ends([job for job in jobs if job is not None])
    assert taken < 30, f"a post took {taken:.0f} s on a dead connection"


def test_poison_bodies_go_to_the_dead_letters_and_harm_nobody(lab: Lab) -> None:
    old = b'{"version":0,"id":"1","type":"chaos"}'
    oversize = b'{"x":"' + b"x" * 200_000 + b'"}'
    running = lab.client.submit({"sleep_seconds": 2})
    bodies = {"text": b"not JSON", "bytes": b"\xff\xfe\x00", "old": old, "oversize": oversize, "empty": b"{}"}
    with medium_queue(lab) as (sender, _):
        for name, body in bodies.items():
            sender.send_messages(ServiceBusMessage(body, message_id=f"poison-{name}"))
    lab.require_ends([running, *submit(lab, 10)])
    answer = lab.client.call("GET", "/dead-letters", params={"limit": 200})
    assert answer is not None
    reasons = [letter["reason"] for letter in answer.json()["dead_letters"]]
    assert reasons.count("undecodable_message") == len(bodies)


def test_a_message_of_the_release_before_is_run(lab: Lab) -> None:
    """It has only the fields that there always were, and no row."""
    now = utc_now()
    job = Job(
        job_id=new_job_id(now, random.SystemRandom()),
        trace_id="1" * 32,
        tenant="default",
        job_type="chaos",
        priority=Priority.MEDIUM,
        payload={},
        created_at=now,
        run_at=now,
        state=JobState.QUEUED,
        updated_at=now,
    )
    always = {field.encode_name for field in msgspec.structs.fields(Job) if field.required}
    fields = {name: value for name, value in msgspec.to_builtins(job).items() if name in always}
    with medium_queue(lab) as (sender, _):
        sender.send_messages(ServiceBusMessage(json.dumps({"version": 1, "job": fields, "attempt": 1})))
    lab.stack.history.record("accepted", job.job_id)
    lab.require_ends([job.job_id])


def test_a_message_of_the_next_release_is_kept_for_it(lab: Lab) -> None:
    body = json.dumps({"version": 2, "job": "whatever", "nonce": random.random()})
    with medium_queue(lab) as (sender, receiver):
        sender.send_messages(ServiceBusMessage(body))
        deadline = time.monotonic() + 30
        kept: list[ServiceBusReceivedMessage] = []
        while not kept:
            assert time.monotonic() < deadline, "it was not put back"
            peeked = receiver.peek_messages(200, sequence_number=1)
            kept = [each for each in peeked if str(each) == body and each.scheduled_enqueue_time_utc]
        assert all(each.scheduled_enqueue_time_utc > utc_now() for each in kept if each.scheduled_enqueue_time_utc)
        sender.cancel_scheduled_messages([number for each in kept if (number := each.sequence_number)])


def test_a_worker_that_drains_burns_no_attempt(lab: Lab) -> None:
    """SIGTERM of both workers while 50 jobs run that are longer than the drain."""
    jobs = submit(lab, 16, sleep_seconds=8, steps=4) + submit(lab, 34, sleep_seconds=1)
    jobs += lab.client.submit_batch(
        [{"payload": {"sleep_seconds": 8}, "priority": name} for name in ("high", "low")] * 8
    )
    when(lab, "start", jobs, 30)
    for worker in lab.stack.workers:
        worker.send(signal.SIGTERM)
    lab.require_ends(jobs)
    for job in jobs:
        view = lab.client.read_result(str(job))
        assert view is not None
        assert view["attempt"] == 1


def test_a_job_that_kills_every_worker_fails_and_the_others_go_on(lab: Lab) -> None:
    poison = lab.client.submit({"crash_at": "handler", "crash_times": 100}, priority="low")
    others = submit(lab, 10)
    lab.require_ends(others)
    lab.require_ends([poison], "failed", seconds=150)
    assert 3 <= len(lab.events(poison, "crash")) <= 10
    view = lab.client.read_result(str(poison))
    assert view is not None
    assert view["error"]["code"] == "delivery_exhausted"


def test_500_races_of_cancel_and_completion(lab: Lab) -> None:
    rng = random.Random()
    jobs: list[str] = []
    guard = threading.Lock()
    answers: list[int] = []

    def race(_: int) -> None:
        job = lab.client.submit({"sleep_seconds": rng.choice([0, 0, 0.05, 0.2]), "steps": rng.choice([0, 3])})
        assert job is not None
        time.sleep(rng.uniform(0, 0.15))
        status = lab.client.cancel(job)
        with guard:
            jobs.append(job)
            answers.append(status)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(race, range(500)))
    assert not lab.wait_for(jobs)
    verdict = lab.verdict(jobs)
    assert verdict.holds, str(verdict)
    assert set(answers) <= {200, 202, 409}
    assert len(set(answers)) > 1, "every race went the same way"
    for job, status in zip(jobs, answers, strict=True):
        if status == 200:
            assert lab.client.observe(job) == "cancelled"


def test_50_posts_with_one_key_are_one_job(lab: Lab) -> None:
    key = f"key-{random.random()}"
    with ThreadPoolExecutor(50) as pool:
        jobs = list(pool.map(lambda _: lab.client.submit({}, key=key), range(50)))
    assert len(set(jobs)) == 1
    lab.require_ends(jobs)
    assert len(lab.events(jobs[0], "start")) == 1


def test_a_failed_job_is_replayed_from_the_dead_letters(lab: Lab) -> None:
    jobs = submit(lab, 3, fail_permanently=True)
    lab.require_ends(jobs, "failed")
    for job in jobs:
        lab.stack.history.record("retried", str(job))
    answer = lab.client.call("POST", "/dead-letters/replay", json={"job_ids": jobs})
    assert answer is not None
    assert answer.json()["done"] == 3, answer.text
    lab.require_ends(jobs)
