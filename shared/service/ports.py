"""What the use cases need of the outside: stores, channels, a clock and chance. `shared.azure` implements it."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from shared.config import Settings
from shared.jobs.model import Job, JobMessage, JobState, Priority, ResultDocument, VersionedJob
from shared.jobs.registry import Registry
from shared.service.tracing import NoTelemetry, Telemetry

if TYPE_CHECKING:
    from shared.service.flow import FlowControl  # which knows the ports
    from shared.service.metrics import Recorder
    from shared.service.quota import TenantQuota


class ConflictError(Exception):
    """A row or document with this key exists already."""


class PreconditionFailedError(Exception):
    """The row or document is not the one the caller last saw: its ETag differs, or it is gone."""


class TransientError(Exception):
    """A service did not do what was asked, and a later try may succeed. `unknown_outcome`: it may have done it."""

    def __init__(self, message: str, *, unknown_outcome: bool = False) -> None:
        super().__init__(message)
        self.unknown_outcome = unknown_outcome


class JobFilter(msgspec.Struct, frozen=True):
    """Which jobs a listing wants; None means any."""

    state: JobState | None = None
    job_type: str | None = None
    priority: Priority | None = None


class StatusStore(Protocol):
    """The hot status of every job, one row each. Every method may raise TransientError."""

    async def insert(self, job: Job) -> str:
        """Store a new row and return its ETag. Raises ConflictError."""

    async def insert_many(self, jobs: Sequence[Job]) -> list[str | Exception]:
        """Store new rows in as few calls as can be; for each job, in order, its ETag or what went wrong."""

    async def get(self, tenant: str, job_id: str) -> VersionedJob | None:
        """The job's row, or None."""

    async def update(self, old: Job, new: Job, etag: str) -> str:
        """Write the fields in which `new` differs from `old` if the row still has `etag`; return the new ETag.

        Raises PreconditionFailedError.
        """

    async def delete(self, job: Job, etag: str) -> None:
        """Remove the row if it still has `etag`; a missing row is fine. Raises PreconditionFailedError."""

    async def hours(self, tenant: str, before: str | None = None) -> list[str]:
        """The hours (yyyymmddhh) that have rows, newest first; only those up to `before` when it is given."""

    async def page(self, tenant: str, hour: str, wanted: JobFilter, limit: int, after: str | None) -> list[Job]:
        """Up to `limit` jobs of one hour, newest first, that come after the job id `after`."""

    async def unfinished(self, tenant: str, hour: str) -> list[VersionedJob]:
        """All jobs of one hour that have not ended."""

    async def count_unfinished(self, tenant: str, limit: int) -> int:
        """How many jobs of the tenant have not ended; not counted beyond `limit`."""

    async def open_jobs(self, tenant: str, limit: int) -> list[OpenJob]:
        """What the tenant's jobs are that have not ended, newest hour first; up to `limit` of them."""

    async def expire(self, tenant: str, hour: str, finished_before: datetime) -> int:
        """Remove rows of one hour that ended before the given time, and the hour itself once it is over and empty.

        Returns how many rows went.
        """

    async def remember_key(self, tenant: str, key: IdempotencyKey) -> IdempotencyKey:
        """Keep an Idempotency-Key unless it is known and not expired; return the one that holds now."""


class OpenJob(msgspec.Struct, frozen=True):
    """What there is to count about a job that has not ended."""

    state: JobState
    job_type: str
    priority: Priority


class IdempotencyKey(msgspec.Struct, frozen=True):
    """A client's key, the job that it stands for, the digest of the body it came with and when it lapses."""

    key: str
    job_id: str
    digest: str
    expires_at: datetime


class Record(msgspec.Struct, frozen=True):
    """A small shared fact: plain JSON data under a key, with the ETag that it was read with."""

    key: str
    value: Any
    etag: str


class Records(Protocol):
    """Small facts that all instances share, by kind and key: pauses, breakers, limits, heartbeats, counters.

    A key holds letters, digits and `:_-.|`; a value is at most 32,000 characters as JSON. Every method may raise
    TransientError.
    """

    async def list(self, kind: str, first: str = "", limit: int | None = None) -> list[Record]:
        """The records of one kind in the order of their keys, from the key `first` on."""

    async def get(self, kind: str, key: str) -> Record | None:
        """The record, or None."""

    async def create(self, kind: str, key: str, value: Any) -> str:
        """Store a new record and return its ETag. Raises ConflictError."""

    async def replace(self, kind: str, key: str, value: Any, etag: str) -> str:
        """Store the value if the record still has `etag`; return the new ETag. Raises PreconditionFailedError."""

    async def put(self, kind: str, key: str, value: Any) -> None:
        """Store the value, whatever was there."""

    async def delete(self, kind: str, key: str) -> None:
        """Remove the record; a missing one is fine."""

    async def fold(self, kind: str, puts: Mapping[str, Any], seen: Sequence[Record]) -> None:
        """Store `puts` and remove the other records `seen`, all or nothing, if those are as they were seen.

        At most 100 records in all. Raises PreconditionFailedError.
        """


class ResultStore(Protocol):
    """How jobs ended. Every method may raise TransientError."""

    async def put(self, document: ResultDocument) -> None:
        """Store the document unless a later claim (a higher fence) has stored one.

        Raises PreconditionFailedError when it has: the caller is a stale owner.
        """

    async def get(self, tenant: str, job_id: str) -> ResultDocument | None:
        """The job's result document, or None."""


@dataclass(frozen=True)
class Outgoing:
    """A message to send: when it is due (None: now) and the id that duplicate detection goes by."""

    message: JobMessage
    message_id: str
    due: datetime | None = None


class JobQueue(Protocol):
    """The broker. Every method may raise TransientError."""

    async def send(self, outgoing: Sequence[Outgoing]) -> None:
        """Send each to the queue of its job's priority, in as few calls as can be.

        Where only some were taken, the TransientError says that the outcome is unknown.
        """

    async def send_dead(self, message: JobMessage, reason: str, description: str) -> None:
        """Send a message to the queue of dead letters."""

    async def send_poison(self, message: JobMessage, reason: str, description: str) -> None:
        """Send a message to where those go that the broker gives up."""

    async def send_dead_raw(self, body: bytes, message_id: str, reason: str, description: str) -> None:
        """Send a body that could not be read to the queue of dead letters."""

    async def put_back(
        self,
        queue: Priority | None,
        body: bytes,
        message_id: str,
        due: datetime,
        reason: str = "",
        description: str = "",
    ) -> None:
        """Send a body as it is once more, for `due`, under an id of its own: to the queue of a priority or, for None,
        to where those go that the broker gives up, with the reason and description that it had there."""

    async def oldest_waiting(self, held: Collection[Priority] = ()) -> Mapping[Priority, datetime | None]:
        """When the oldest active message of each queue was enqueued; None for an empty queue.

        A queue that is held tells nothing of its messages: it counts as holding all there is, since the year 1. Those
        that are known to be held are not asked, which spares some seconds of refusals.
        """


class QueueCounts(msgspec.Struct, frozen=True):
    """What a queue holds: messages to be had now (those in a receiver's hands too), and those that are due later."""

    active: int
    scheduled: int


class QueueAdmin(Protocol):
    """The queues themselves. Every method may raise TransientError."""

    async def counts(self) -> Mapping[str, QueueCounts]:
        """What each queue holds, by its name without `jobs-`: the priorities, `dead` and `poison`."""

    async def set_receiving(self, priority: Priority, receiving: bool) -> None:
        """Have a queue deliver its messages, or hold them; it takes new ones either way. Done twice is done once."""


class DeadLetter(msgspec.Struct, frozen=True):
    """A message in the queue of dead letters; `message` is None where its body cannot be read."""

    message_id: str
    reason: str
    description: str
    dead_since: datetime
    message: JobMessage | None

    @property
    def job_id(self) -> str | None:
        """The id of its job, where it can be read."""
        return self.message.job.job_id if self.message is not None else None

    @property
    def job_type(self) -> str | None:
        """The type of its job, where it can be read."""
        return self.message.job.job_type if self.message is not None else None


class DeadLetters(Protocol):
    """The queue of dead letters, looked at and worked off. Every method may raise TransientError."""

    async def browse(self, limit: int) -> list[DeadLetter]:
        """The oldest dead letters, which stay where they are."""

    async def take(
        self,
        matches: Callable[[DeadLetter], bool],
        handle: Callable[[DeadLetter], Awaitable[bool]],
        limit: int,
    ) -> bool:
        """Hand up to `limit` matching letters to `handle`, oldest first, and remove those for which it says True.

        Several may be handled at once, but not two of the same job. Returns whether it stopped with letters left to
        look at: at the limit, or because time was up.
        """


class Notifier(Protocol):
    """Pushes jobs' changes to browsers. Never raises and never blocks: a lost push is not a lost job."""

    def publish(self, job: Job) -> None:
        """Push the job as it is now, soon."""

    async def negotiate(self) -> Mapping[str, str]:
        """`url` and `accessToken` with which a browser may listen. Raises TransientError."""


@dataclass(frozen=True)
class Services:
    """Everything that the use cases are given."""

    settings: Settings
    registry: Registry
    status: StatusStore
    records: Records
    results: ResultStore
    queue: JobQueue
    queue_admin: QueueAdmin
    dead_letters: DeadLetters
    notifier: Notifier
    clock: Callable[[], datetime]
    rng: random.Random
    instance_id: str
    flow: FlowControl
    metrics: Recorder
    quota: TenantQuota
    telemetry: Telemetry = field(default_factory=NoTelemetry)
