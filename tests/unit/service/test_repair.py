"""What the janitor mends, and how a message that the broker gave up is buried."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from shared.jobs import JobContext, RetryableError, SnoozeJob
from shared.jobs.model import JobMessage, JobState
from shared.service.ports import PreconditionFailedError, TransientError
from shared.service.repair import GRACE, Repaired, bury, repair
from tests.fakes import Crash, Waiting
from tests.unit.service.test_claim import crash_in_handler
from tests.unit.service.world import LEASE_SECONDS, Work, World

S = JobState
BEYOND_GRACE = GRACE.total_seconds() + 1


async def test_a_healthy_queue_needs_no_repair(world: World) -> None:
    await world.submit()
    await world.submit(delay_seconds=3600)
    world.clock.advance(BEYOND_GRACE)
    assert await repair(world.services) == Repaired()
    assert len(world.queue.waiting) == 2


async def test_a_message_that_was_lost_is_sent_again(world: World) -> None:
    accepted = await world.submit()
    world.queue.waiting.clear()
    assert await repair(world.services) == Repaired()  # too early to tell
    world.clock.advance(BEYOND_GRACE)
    assert await repair(world.services) == Repaired(resent=1)
    assert await repair(world.services) == Repaired()  # its message is there now
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1])


async def test_a_scheduled_jobs_message_is_missed_only_once_it_is_due(world: World) -> None:
    accepted = await world.submit(delay_seconds=600)
    world.queue.waiting.clear()
    world.clock.advance(600)
    assert await repair(world.services) == Repaired()
    world.clock.advance(BEYOND_GRACE)
    assert await repair(world.services) == Repaired(resent=1)
    await world.drain()
    assert world.row(accepted).state is S.COMPLETED


async def test_a_lost_message_of_a_later_attempt_is_sent_as_that_attempt(world: World) -> None:
    async def work(_: Work, job: JobContext) -> Any:
        if job.attempt == 1:
            raise RetryableError("again")

    world.handler = work
    accepted = await world.submit()
    await world.deliver()
    world.queue.waiting.clear()
    world.clock.advance(600)
    assert await repair(world.services) == Repaired(resent=1)
    await world.drain()
    assert world.calls[accepted.job_id] == [1, 2]


async def test_a_job_behind_a_long_queue_has_not_lost_its_message(world: World) -> None:
    await world.submit()
    world.clock.advance(1)
    await world.submit()
    world.clock.advance(3600)
    assert await repair(world.services) == Repaired()


async def test_another_priorities_queue_does_not_hide_a_lost_message(world: World) -> None:
    await world.submit(priority="low")
    lost = await world.submit(priority="high")
    world.queue.waiting = [each for each in world.queue.waiting if each.message.job.job_id != lost.job_id]
    world.clock.advance(BEYOND_GRACE)
    assert await repair(world.services) == Repaired(resent=1)


async def test_a_dead_owners_job_is_handed_on(world: World) -> None:
    accepted = await crash_in_handler(world)
    world.queue.waiting.clear()
    world.clock.advance(LEASE_SECONDS + 1)
    assert await repair(world.services) == Repaired()  # a rival that comes back gets its chance first
    world.clock.advance(BEYOND_GRACE)
    assert await repair(world.services) == Repaired(taken_over=1)
    await world.deliver(world.instance("two"))
    assert (world.row(accepted).state, world.row(accepted).owner) == (S.COMPLETED, "two")
    assert world.outcomes(accepted) == [(1, "lost"), (1, "completed")]


async def test_a_dead_owner_that_wrote_its_result_needs_no_other(world: World) -> None:
    accepted = await world.submit()
    world.faults.plant("status.update", Crash(), skip=1)
    await world.deliver()
    world.queue.waiting.clear()
    world.clock.advance(LEASE_SECONDS + BEYOND_GRACE)
    assert await repair(world.services) == Repaired(taken_over=1)
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1])
    assert world.queue.waiting == []


async def test_finished_rows_go_after_their_time_and_waiting_ones_never(world: World) -> None:
    done = await world.submit()
    await world.drain()
    later = await world.submit(delay_seconds=40 * 86400)
    world.clock.advance(24 * 3600 - 1)
    assert (await repair(world.services)).expired == 0
    world.clock.advance(2)
    assert (await repair(world.services)).expired == 1
    assert world.status.row(done.job_id) is None
    world.clock.advance(30 * 86400)
    assert await repair(world.services) == Repaired()
    assert world.row(later).state is S.SCHEDULED
    await world.drain()
    assert world.row(later).state is S.COMPLETED


async def test_an_hour_leaves_the_index_once_it_is_over_and_empty(world: World) -> None:
    await world.submit()
    await world.drain()
    world.clock.advance(25 * 3600)
    await repair(world.services)
    assert len(await world.status.hours("default")) == 0


async def test_a_janitor_without_its_services_says_so(world: World) -> None:
    await world.submit()
    world.faults.plant("status.unfinished", TransientError("away"))
    with pytest.raises(TransientError):
        await repair(world.services)


async def crash_loop(world: World) -> Any:
    """A job whose handler kills its process at every delivery, until the broker gives the message up."""

    async def work(_: Work, __: JobContext) -> Any:
        raise Crash

    world.handler = work
    accepted = await world.submit()
    for _ in range(5):
        await world.deliver()
        world.clock.advance(LEASE_SECONDS + 1)
    assert world.queue.waiting == []
    assert len(world.queue.poison) == 1
    return accepted


async def test_a_crash_loop_ends_in_a_failed_job_and_a_dead_letter(world: World) -> None:
    accepted = await crash_loop(world)
    await world.bury_poison()
    row = world.row(accepted)
    assert row.state is S.FAILED
    assert row.error is not None
    assert (row.error.code, row.error.retryable) == ("delivery_exhausted", False)
    assert world.dead_letters() == [("delivery_exhausted", row.job_id, S.FAILED)]
    assert world.results.documents[row.job_id].job == row
    assert world.notifier.states(row.job_id)[-1] is S.FAILED
    assert [outcome for _, outcome in world.outcomes(accepted)] == ["lost"] * 5


async def test_a_message_that_waited_too_long_is_buried_as_expired(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting.pop()
    await bury(world.services, message.body, message.message_id, "TTLExpiredException", "")
    row = world.row(accepted)
    assert row.error is not None
    assert (row.state, row.error.code) == (S.FAILED, "message_expired")


async def buried(world: World, message: Waiting) -> None:
    await bury(world.services, message.body, message.message_id, "MaxDeliveryCountExceeded", "")


async def test_a_job_that_ended_all_the_same_stays_as_it_is(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting[0]
    await world.drain()
    done = world.row(accepted)
    await buried(world, message)
    assert (world.row(accepted), world.queue.dead) == (done, [])


async def test_a_job_that_ended_and_whose_row_expired_stays_away(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting[0]
    await world.drain()
    world.clock.advance(25 * 3600)
    await repair(world.services)
    await buried(world, message)
    assert world.status.row(accepted.job_id) is None
    assert world.queue.dead == []


async def test_a_job_that_somebody_runs_is_left_to_them(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        await buried(world, message)
        return "done"

    world.handler = work
    accepted = await world.submit()
    message = world.queue.waiting[0]
    await world.deliver()
    assert world.row(accepted).state is S.COMPLETED


async def test_a_dead_owners_written_result_counts_more_than_the_brokers_verdict(world: World) -> None:
    accepted = await world.submit()
    message = world.queue.waiting[0]
    world.faults.plant("status.update", Crash(), skip=1)
    await world.deliver()
    world.clock.advance(LEASE_SECONDS + 1)
    await buried(world, message)
    assert (world.row(accepted).state, world.queue.dead) == (S.COMPLETED, [])


async def test_a_job_that_waits_for_its_next_attempt_gets_it(world: World) -> None:
    """The attempt was settled, but the broker never heard so: the job is not to blame."""

    async def work(_: Work, job: JobContext) -> Any:
        if job.attempt == 1:
            raise RetryableError("again")

    world.handler = work
    accepted = await world.submit()
    message = world.queue.waiting[0]
    world.faults.plant("queue.send", Crash())
    await world.deliver()
    world.queue.waiting.clear()
    await buried(world, message)
    assert world.row(accepted).state is S.RETRYING
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1, 2])


async def test_a_job_that_was_put_back_in_good_order_is_not_failed_for_earlier_crashes(world: World) -> None:
    """Its message was used up by dying instances; the last one lived to put the job off, and lost the lock doing so."""

    async def snooze(_: Work, __: JobContext) -> Any:
        world.handler = normal
        raise SnoozeJob(5)

    normal, world.handler = world.handler, snooze
    accepted = await world.submit()
    message = world.queue.waiting[0]
    await world.deliver()
    assert world.row(accepted).state is S.SCHEDULED
    await buried(world, message)
    assert world.queue.dead == []
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1, 1])


async def test_a_job_that_was_never_started_does_not_pay_for_its_neighbours_crashes(world: World) -> None:
    """Its message was delivered five times, to instances that died before its turn came."""
    accepted = await world.submit(payload={"note": 1})
    await buried(world, world.queue.waiting.pop())
    assert (world.row(accepted).state, world.queue.dead) == (S.QUEUED, [])
    (again,) = world.queue.waiting
    assert again.due > world.clock.now, "a crash loop that nobody claims must not spin"
    await world.drain()
    assert (world.row(accepted).state, world.calls[accepted.job_id]) == (S.COMPLETED, [1])


async def test_a_job_whose_first_owner_died_is_taken_over_though_the_broker_gave_up(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        world.handler = normal
        raise Crash

    normal, world.handler = world.handler, work
    accepted = await world.submit()
    await world.deliver()
    world.clock.advance(LEASE_SECONDS + 1)
    message = world.queue.waiting.pop()
    await buried(world, message)
    await world.drain()
    assert world.row(accepted).state is S.COMPLETED
    assert world.outcomes(accepted) == [(1, "lost"), (1, "completed")]


async def test_a_message_given_up_at_the_table_that_forgot_its_run_is_sent_again(world: World) -> None:
    accepted = await world.submit()
    await world.drain()
    await world.touch(accepted, state=S.FAILED)
    again = JobMessage(job=msgspec.structs.replace(accepted, run=2), attempt=1)
    await bury(world.services, msgspec.json.encode(again), "m", "MaxDeliveryCountExceeded", "")
    await world.drain()
    row = world.row(accepted)
    assert (row.run, row.state) == (2, S.COMPLETED)


async def test_a_job_whose_row_was_lost_is_failed_from_its_message(world: World) -> None:
    accepted = await world.submit(payload={"note": 1})
    message = world.queue.waiting.pop()
    world.status.lose_writes(1)
    await bury(world.services, message.body, message.message_id, "crash_loop", "")
    assert (world.row(accepted).state, world.row(accepted).payload) == (S.FAILED, {"note": 1})
    assert world.dead_letters() == [("delivery_exhausted", accepted.job_id, S.FAILED)]


async def test_the_verdict_on_a_new_run_counts_though_the_table_forgot_that_run(world: World) -> None:
    accepted = await world.submit()
    await world.drain()
    await world.touch(accepted, state=S.FAILED)
    again = JobMessage(job=msgspec.structs.replace(accepted, run=2), attempt=1)
    await bury(world.services, msgspec.json.encode(again), "m", "crash_loop", "")
    row = world.row(accepted)
    assert (row.run, row.state) == (2, S.FAILED)
    assert row.fence > 1


async def test_an_owner_that_wakes_up_after_the_burial_is_refused(world: World) -> None:
    async def work(_: Work, __: JobContext) -> Any:
        world.clock.advance(LEASE_SECONDS + 1)
        await bury(world.services, message.body, message.message_id, "crash_loop", "")
        return "too late"

    world.handler = work
    accepted = await world.submit()
    message = world.queue.waiting[0]
    await world.deliver()
    assert world.row(accepted).state is S.FAILED
    assert world.results.documents[accepted.job_id].job == world.row(accepted)


async def test_a_message_that_cannot_be_read_is_buried_as_it_is(world: World) -> None:
    await bury(world.services, b"{}", "m-1", "MaxDeliveryCountExceeded", "")
    (dead,) = world.queue.dead
    assert (dead.body, dead.reason) == (b"{}", "undecodable_message")


async def test_a_dead_message_of_a_newer_release_waits_for_an_instance_that_reads_it(world: World) -> None:
    body = b'{"version": 7}'
    await bury(world.services, body, "m-1", "MaxDeliveryCountExceeded", "why")
    (back,) = world.queue.poison
    assert (back.body, back.reason, back.description) == (body, "MaxDeliveryCountExceeded", "why")
    assert world.queue.dead == []


async def test_a_burial_that_the_table_stops_is_tried_again(world: World) -> None:
    """By a copy that comes later: what is abandoned comes back at once, and the queue would soon give it up."""
    accepted = await crash_loop(world)
    world.faults.plant("status.update", TransientError("away"), skip=1)
    (first,) = world.queue.poison
    await bury(world.services, first.body, first.message_id, first.reason, first.description)
    world.queue.poison.pop(0)
    (again,) = world.queue.poison
    assert (again.body, again.reason) == (first.body, first.reason)
    world.clock.advance(LEASE_SECONDS + 1)
    await world.bury_poison()
    assert world.row(accepted).state is S.FAILED
    assert world.dead_letters() == [("delivery_exhausted", accepted.job_id, S.FAILED)]


async def test_a_burial_fails_only_where_not_even_the_broker_answers(world: World) -> None:
    await crash_loop(world)
    (first,) = world.queue.poison
    world.faults.plant("status.get", TransientError("away"))
    world.faults.plant("queue.put_back", TransientError("away"))
    with pytest.raises(TransientError):
        await bury(world.services, first.body, first.message_id, first.reason, first.description)


async def test_one_row_in_the_way_does_not_hold_up_the_others(world: World) -> None:
    for _ in range(3):
        await world.submit()
    world.queue.waiting.clear()
    world.clock.advance(BEYOND_GRACE)
    world.faults.plant("status.update", PreconditionFailedError(), skip=1)
    assert await repair(world.services) == Repaired(resent=2)
    assert await repair(world.services) == Repaired(resent=1)
    assert world.queue.waiting[0].due - world.clock.now <= timedelta(0)
