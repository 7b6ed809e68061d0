"""In-process ports, as faithful as `tests/contract/ports` shows them to be, with faults that a test plants."""

from __future__ import annotations

import asyncio
import functools
import itertools
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from shared.azure.job_entity import changes, job_of, row_of
from shared.azure.servicebus import SINCE_EVER
from shared.jobs.ids import hour_end, hour_of
from shared.jobs.model import Job, JobMessage, JobState, Priority, ResultDocument, VersionedJob
from shared.jobs.states import TERMINAL, stands
from shared.service.ports import (
    ConflictError,
    DeadLetter,
    IdempotencyKey,
    JobFilter,
    OpenJob,
    Outgoing,
    PreconditionFailedError,
    QueueCounts,
    Record,
    TransientError,
)

T = TypeVar("T")
START = datetime(2026, 3, 1, 10, 20, 30, 123456, tzinfo=UTC)
#: As the queues are configured.
DUPLICATE_WINDOW = timedelta(minutes=10)
MAX_DELIVERIES = 5
#: Service Bus Standard takes no longer message, in bytes.
MAX_MESSAGE = 256 * 1024


def seeded(number: int) -> random.Random:
    """Chance that is the same every time."""
    return random.Random(number)


class Clock:
    """A time that moves when it is told to."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Crash(BaseException):
    """The process is gone: nothing that follows the call is done."""


@dataclass
class _Fault:
    call: str
    error: BaseException
    after: bool
    skip: int


class Faults:
    """Errors planted at calls of the ports, named `store.method`; an empty name means any call."""

    def __init__(self) -> None:
        self._planted: list[_Fault] = []

    def plant(self, call: str, error: BaseException, *, after: bool = False, skip: int = 0, times: int = 1) -> None:
        """Raise `error` at the next calls but `skip`, instead of doing them or, with `after`, once they are done."""
        for _ in range(times):
            self._planted.append(_Fault(call, error, after, skip))

    def clear(self) -> None:
        self._planted.clear()

    async def around(self, call: str, effect: Callable[[], T]) -> T:
        await asyncio.sleep(0)  # where a real call lets others run
        fault = self._due(call)
        if fault is not None and not fault.after:
            raise fault.error
        result = effect()
        if fault is not None:
            raise fault.error
        return result

    def _due(self, call: str) -> _Fault | None:
        for fault in self._planted:
            if fault.call in ("", call):
                if fault.skip:
                    fault.skip -= 1
                    continue
                self._planted.remove(fault)
                return fault
        return None


@dataclass(frozen=True)
class Write:
    """One change of a row: its content before and after, None where there was none."""

    job_id: str
    before: VersionedJob | None
    after: VersionedJob | None


class FakeStatusStore:
    """`StatusStore` in a dictionary. A row is what a merge of the changed columns makes of it, as in the table."""

    def __init__(self, clock: Callable[[], datetime], faults: Faults | None = None) -> None:
        self.writes: list[Write] = []
        self._clock = clock
        self._faults = faults or Faults()
        self._rows: dict[tuple[str, str], tuple[dict[str, Any], str]] = {}
        self._hours: set[tuple[str, str]] = set()
        self._keys: dict[tuple[str, str], IdempotencyKey] = {}
        self._etags = (f'W/"{number}"' for number in itertools.count(1))

    def lose_writes(self, count: int) -> list[Write]:
        """Undo the last writes, as a table does that is killed before it has written its file."""
        lost = self.writes[len(self.writes) - min(count, len(self.writes)) :]
        del self.writes[len(self.writes) - len(lost) :]
        for write in reversed(lost):
            key = ("default", write.job_id)
            if write.before is None:
                self._rows.pop(key, None)
            else:
                self._rows[key] = (row_of(write.before.job), write.before.etag)
        return lost

    def row(self, job_id: str, tenant: str = "default") -> VersionedJob | None:
        """The row, without a call that could fail."""
        stored = self._rows.get((tenant, job_id))
        return VersionedJob(job_of(stored[0]), stored[1]) if stored else None

    async def insert(self, job: Job) -> str:
        return await self._faults.around("status.insert", lambda: self._insert(job))

    async def insert_many(self, jobs: Sequence[Job]) -> list[str | Exception]:
        def each(job: Job) -> str | Exception:
            try:
                return self._insert(job)
            except ConflictError as exc:
                return exc

        return await self._faults.around("status.insert_many", lambda: [each(job) for job in jobs])

    async def get(self, tenant: str, job_id: str) -> VersionedJob | None:
        return await self._faults.around("status.get", lambda: self.row(job_id, tenant))

    async def update(self, old: Job, new: Job, etag: str) -> str:
        return await self._faults.around("status.update", lambda: self._update(old, new, etag))

    async def delete(self, job: Job, etag: str) -> None:
        def delete() -> None:
            stored = self.row(job.job_id, job.tenant)
            if stored is None:
                return
            if stored.etag != etag:
                raise PreconditionFailedError(job.job_id)
            del self._rows[job.tenant, job.job_id]
            self.writes.append(Write(job.job_id, stored, None))

        await self._faults.around("status.delete", delete)

    async def hours(self, tenant: str, before: str | None = None) -> list[str]:
        def hours() -> list[str]:
            mine = (hour for owner, hour in self._hours if owner == tenant)
            return sorted((hour for hour in mine if before is None or hour <= before), reverse=True)

        return await self._faults.around("status.hours", hours)

    async def page(self, tenant: str, hour: str, wanted: JobFilter, limit: int, after: str | None) -> list[Job]:
        def page() -> list[Job]:
            rows = [found.job for found in self._of_hour(tenant, hour) if _matches(found.job, wanted)]
            rows = [job for job in rows if after is None or job.job_id < after]
            rows.sort(key=lambda job: job.job_id, reverse=True)
            return [msgspec.structs.replace(job, payload={}, attempts=(), timeline=()) for job in rows[:limit]]

        return await self._faults.around("status.page", page)

    async def unfinished(self, tenant: str, hour: str) -> list[VersionedJob]:
        def unfinished() -> list[VersionedJob]:
            return [found for found in self._of_hour(tenant, hour) if found.job.state not in TERMINAL]

        return await self._faults.around("status.unfinished", unfinished)

    async def count_unfinished(self, tenant: str, limit: int) -> int:
        def count() -> int:
            mine = (job_of(row) for (owner, _), (row, _) in self._rows.items() if owner == tenant)
            return min(limit, sum(job.state not in TERMINAL for job in mine))

        return await self._faults.around("status.count_unfinished", count)

    async def open_jobs(self, tenant: str, limit: int) -> list[OpenJob]:
        def jobs() -> list[OpenJob]:
            mine = [job_of(row) for (owner, _), (row, _) in self._rows.items() if owner == tenant]
            unfinished = [job for job in mine if job.state not in TERMINAL]
            unfinished.sort(key=lambda job: hour_of(job.job_id), reverse=True)
            return [OpenJob(job.state, job.job_type, job.priority) for job in unfinished[:limit]]

        return await self._faults.around("status.open_jobs", jobs)

    async def expire(self, tenant: str, hour: str, finished_before: datetime) -> int:
        def expire() -> int:
            gone = [
                found.job
                for found in self._of_hour(tenant, hour)
                if found.job.finished_at and found.job.finished_at < finished_before
            ]
            for job in gone:
                del self._rows[tenant, job.job_id]
            if hour_end(hour) < finished_before and not self._of_hour(tenant, hour):
                self._hours.discard((tenant, hour))
            return len(gone)

        return await self._faults.around("status.expire", expire)

    async def remember_key(self, tenant: str, key: IdempotencyKey) -> IdempotencyKey:
        def remember() -> IdempotencyKey:
            held = self._keys.get((tenant, key.key))
            if held is None or held.expires_at <= self._clock():
                held = self._keys[tenant, key.key] = key
            return held

        return await self._faults.around("status.remember_key", remember)

    async def close(self) -> None:
        """Nothing to close."""

    def _insert(self, job: Job) -> str:
        self._hours.add((job.tenant, hour_of(job.job_id)))
        if (job.tenant, job.job_id) in self._rows:
            raise ConflictError(job.job_id)
        return self._put(row_of(job), job, None)

    def _update(self, old: Job, new: Job, etag: str) -> str:
        stored = self.row(new.job_id, new.tenant)
        if stored is None or stored.etag != etag:
            raise PreconditionFailedError(new.job_id)
        entity = self._rows[new.tenant, new.job_id][0]
        return self._put({**entity, **changes(old, new)}, new, stored)

    def _put(self, entity: dict[str, Any], job: Job, before: VersionedJob | None) -> str:
        etag = next(self._etags)
        self._rows[job.tenant, job.job_id] = (entity, etag)
        self.writes.append(Write(job.job_id, before, self.row(job.job_id, job.tenant)))
        return etag

    def _of_hour(self, tenant: str, hour: str) -> list[VersionedJob]:
        keys = [key for key in self._rows if key[0] == tenant and hour_of(key[1]) == hour]
        return [VersionedJob(job_of(self._rows[key][0]), self._rows[key][1]) for key in keys]


def _matches(job: Job, wanted: JobFilter) -> bool:
    return all(
        value is None or getattr(job, name) == value
        for name, value in (("state", wanted.state), ("job_type", wanted.job_type), ("priority", wanted.priority))
    )


class FakeRecords:
    """`Records` in a dictionary."""

    def __init__(self, faults: Faults | None = None) -> None:
        self._faults = faults or Faults()
        self._rows: dict[tuple[str, str], Record] = {}
        self._etags = (f'W/"{number}"' for number in itertools.count(1))

    async def list(self, kind: str, first: str = "", limit: int | None = None) -> list[Record]:
        def effect() -> list[Record]:
            keys = sorted(key for row_kind, key in self._rows if row_kind == kind and key >= first)
            return [self._rows[kind, key] for key in keys[:limit]]

        return await self._faults.around("records.list", effect)

    async def get(self, kind: str, key: str) -> Record | None:
        return await self._faults.around("records.get", lambda: self._rows.get((kind, key)))

    async def create(self, kind: str, key: str, value: Any) -> str:
        def effect() -> str:
            if (kind, key) in self._rows:
                raise ConflictError(key)
            return self._store(kind, key, value)

        return await self._faults.around("records.create", effect)

    async def replace(self, kind: str, key: str, value: Any, etag: str) -> str:
        def effect() -> str:
            self._expect(kind, key, etag)
            return self._store(kind, key, value)

        return await self._faults.around("records.replace", effect)

    async def put(self, kind: str, key: str, value: Any) -> None:
        await self._faults.around("records.put", lambda: self._store(kind, key, value))

    async def delete(self, kind: str, key: str) -> None:
        await self._faults.around("records.delete", lambda: self._rows.pop((kind, key), None))

    async def fold(self, kind: str, puts: Mapping[str, Any], seen: Sequence[Record]) -> None:
        def effect() -> None:
            for record in seen:
                self._expect(kind, record.key, record.etag)
            if any((kind, key) in self._rows for key in puts.keys() - {record.key for record in seen}):
                raise PreconditionFailedError(kind)
            for record in seen:
                del self._rows[kind, record.key]
            for key, value in puts.items():
                self._store(kind, key, value)

        await self._faults.around("records.fold", effect)

    async def close(self) -> None:
        """Nothing to close."""

    def _expect(self, kind: str, key: str, etag: str) -> None:
        stored = self._rows.get((kind, key))
        if stored is None or stored.etag != etag:
            raise PreconditionFailedError(key)

    def _store(self, kind: str, key: str, value: Any) -> str:
        etag = next(self._etags)
        # As JSON keeps it: what comes back is plain data, and nobody's object.
        self._rows[kind, key] = Record(key, msgspec.json.decode(msgspec.json.encode(value)), etag)
        return etag


class FakeResultStore:
    """`ResultStore` in a dictionary, with the fencing rule of `shared.azure.cosmos`."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.documents: dict[str, ResultDocument] = {}
        #: How often each job's document was written, first time and every time over it.
        self.puts: dict[str, int] = {}
        self._faults = faults or Faults()

    async def put(self, document: ResultDocument) -> None:
        def put() -> None:
            job = document.job
            stored = self.documents.get(job.job_id)
            if stored is not None:
                if stored.job == job:
                    return
                if stands(stored.job, job):
                    raise PreconditionFailedError(job.job_id)
            self.documents[job.job_id] = msgspec.json.decode(msgspec.json.encode(document), type=ResultDocument)
            self.puts[job.job_id] = self.puts.get(job.job_id, 0) + 1

        await self._faults.around("results.put", put)

    async def get(self, tenant: str, job_id: str) -> ResultDocument | None:
        def get() -> ResultDocument | None:
            stored = self.documents.get(job_id)
            return stored if stored is not None and stored.job.tenant == tenant else None

        return await self._faults.around("results.get", get)

    async def close(self) -> None:
        """Nothing to close."""


@dataclass
class Waiting:
    """A message in a queue: what a receiver gets, when it may, and how often it got it."""

    body: bytes
    message_id: str
    priority: Priority
    due: datetime
    deliveries: int = 0

    @property
    def message(self) -> JobMessage:
        return msgspec.json.decode(self.body, type=JobMessage)


@dataclass(frozen=True)
class Dead:
    """A dead letter with the reason that went with it."""

    body: bytes
    message_id: str
    reason: str
    description: str


@dataclass
class FakeQueue:
    """`JobQueue` in a list, with due times, duplicate detection by message id and a limit of deliveries."""

    clock: Callable[[], datetime]
    faults: Faults = field(default_factory=Faults)
    waiting: list[Waiting] = field(default_factory=list)
    #: Queues that hold what they have.
    held: set[Priority] = field(default_factory=set)
    poison: list[Dead] = field(default_factory=list)
    dead: list[Dead] = field(default_factory=list)
    _seen: dict[str, datetime] = field(default_factory=dict)

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        def send() -> None:
            taken = [(each, body) for each in outgoing if len(body := msgspec.json.encode(each.message)) <= MAX_MESSAGE]
            for each, body in taken:
                if self._is_new(each.message_id):
                    due = max(each.due or self.clock(), self.clock())
                    self.waiting.append(Waiting(body, each.message_id, each.message.job.priority, due))
            if len(taken) < len(outgoing):
                raise TransientError("a message is too long", unknown_outcome=bool(taken))

        await self.faults.around("queue.send", send)

    async def send_dead(self, message: JobMessage, reason: str, description: str) -> None:
        dead_id = f"{message.job.job_id}:{message.job.run}:dead"
        await self._bury(Dead(msgspec.json.encode(message), dead_id, reason, description))

    async def send_poison(self, message: JobMessage, reason: str, description: str) -> None:
        def poison() -> None:
            poison_id = f"{message.job.job_id}:{message.job.run}:poison"
            self.poison.append(Dead(msgspec.json.encode(message), poison_id, reason, description))

        await self.faults.around("queue.send_poison", poison)

    async def send_dead_raw(self, body: bytes, message_id: str, reason: str, description: str) -> None:
        await self._bury(Dead(body, f"{message_id}:dead", reason, description))

    async def put_back(
        self,
        queue: Priority | None,
        body: bytes,
        message_id: str,
        due: datetime,
        reason: str = "",
        description: str = "",
    ) -> None:
        def put() -> None:
            again = f"{message_id}:{len(self._seen)}"
            self._is_new(again)
            if queue is None:
                self.poison.append(Dead(body, again, reason, description))
            else:
                self.waiting.append(Waiting(body, again, queue, due))

        await self.faults.around("queue.put_back", put)

    async def oldest_waiting(self, held: Collection[Priority] = ()) -> Mapping[Priority, datetime | None]:
        def oldest() -> Mapping[Priority, datetime | None]:
            active = [each for each in self.waiting if each.due <= self.clock()]
            return {
                priority: SINCE_EVER
                if priority in self.held or priority in held
                else min((each.due for each in active if each.priority is priority), default=None)
                for priority in Priority
            }

        return await self.faults.around("queue.oldest_waiting", oldest)

    async def close(self) -> None:
        """Nothing to close."""

    def receive(self) -> Waiting | None:
        """The message that is due longest, its delivery counted; it stays until it is completed."""
        due = [each for each in self.waiting if each.due <= self.clock() and each.priority not in self.held]
        if not due:
            return None
        first = min(due, key=lambda each: each.due)
        first.deliveries += 1
        return first

    def complete(self, message: Waiting) -> None:
        """Remove a message that was dealt with; one that another delivery settled is gone already."""
        if message in self.waiting:
            self.waiting.remove(message)

    def abandon(self, message: Waiting) -> None:
        """Leave a message for another delivery, or give it up when there were too many."""
        if message in self.waiting and message.deliveries >= MAX_DELIVERIES:
            self.waiting.remove(message)
            self.poison.append(Dead(message.body, message.message_id, "MaxDeliveryCountExceeded", ""))

    def was_sent(self, message_id: str) -> bool:
        """Whether a message of this id ever arrived."""
        return message_id in self._seen

    async def _bury(self, dead: Dead) -> None:
        def bury() -> None:
            if len(dead.body) > MAX_MESSAGE:
                raise TransientError("the message is too long")
            if self._is_new(dead.message_id):
                self.dead.append(dead)

        await self.faults.around("queue.send_dead", bury)

    def _is_new(self, message_id: str) -> bool:
        last = self._seen.get(message_id)
        if last is not None and self.clock() - last < DUPLICATE_WINDOW:
            return False
        self._seen[message_id] = self.clock()
        return True


class FakeQueueAdmin:
    """`QueueAdmin` over what `FakeQueue` holds."""

    def __init__(self, queue: FakeQueue) -> None:
        self._queue = queue

    async def counts(self) -> Mapping[str, QueueCounts]:
        return await self._queue.faults.around("queue_admin.counts", self._counts)

    async def set_receiving(self, priority: Priority, receiving: bool) -> None:
        change = self._queue.held.discard if receiving else self._queue.held.add
        await self._queue.faults.around("queue_admin.set_receiving", functools.partial(change, priority))

    async def close(self) -> None:
        """Nothing to close."""

    def _counts(self) -> Mapping[str, QueueCounts]:
        now = self._queue.clock()
        counts = {"dead": QueueCounts(len(self._queue.dead), 0), "poison": QueueCounts(len(self._queue.poison), 0)}
        for priority in Priority:
            due = [each.due for each in self._queue.waiting if each.priority is priority]
            active = sum(moment <= now for moment in due)
            counts[priority] = QueueCounts(active, len(due) - active)
        return counts


class FakeDeadLetters:
    """`DeadLetters` over the list that `FakeQueue` fills."""

    def __init__(self, queue: FakeQueue) -> None:
        self._queue = queue

    async def browse(self, limit: int) -> list[DeadLetter]:
        return [self._letter(dead) for dead in self._queue.dead[:limit]]

    async def take(
        self,
        matches: Callable[[DeadLetter], bool],
        handle: Callable[[DeadLetter], Awaitable[bool]],
        limit: int,
    ) -> bool:
        left = limit
        for dead in list(self._queue.dead):
            letter = self._letter(dead)
            if not matches(letter):
                continue
            if left == 0:
                return True
            left -= 1
            if await handle(letter):
                await self._queue.faults.around(
                    "dead_letters.complete", functools.partial(self._queue.dead.remove, dead)
                )
        return False

    def _letter(self, dead: Dead) -> DeadLetter:
        try:
            message = msgspec.json.decode(dead.body, type=JobMessage)
        except msgspec.DecodeError:
            message = None
        return DeadLetter(dead.message_id, dead.reason, dead.description, self._queue.clock(), message)


class FakeNotifier:
    """`Notifier` that remembers what was pushed."""

    def __init__(self) -> None:
        self.published: list[Job] = []

    def publish(self, job: Job) -> None:
        self.published.append(job)

    async def negotiate(self) -> Mapping[str, str]:
        return {"url": "https://signalr.test/client/?hub=jobs", "accessToken": "token"}

    async def close(self) -> None:
        """Nothing to close."""

    def states(self, job_id: str) -> list[JobState]:
        """The states of a job in the order in which they were pushed, without repeats."""
        states = [job.state for job in self.published if job.job_id == job_id]
        return [state for state, _ in itertools.groupby(states)]
