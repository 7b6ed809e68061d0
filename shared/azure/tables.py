"""Jobs' status in Table Storage: one row a job, in the partition that its id says; a small index of hours with rows."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableTransactionError, UpdateMode

from shared.azure.job_entity import changes, job_of, listed_columns, row_of
from shared.azure.table_service import TableConnection
from shared.jobs.ids import hour_end, hour_of, inverted_hour, partition_key, row_key, shard_keys
from shared.jobs.model import Job, JobState, Priority, VersionedJob
from shared.jobs.states import TERMINAL
from shared.service.ports import (
    ConflictError,
    IdempotencyKey,
    JobFilter,
    OpenJob,
    PreconditionFailedError,
    TransientError,
)

JOBS, HOURS, KEYS = "jobs", "jobhours", "idempotencykeys"
#: An entity group transaction takes at most so many operations.
TRANSACTION_LIMIT = 100
_UNFINISHED = "(" + " or ".join(f"state eq '{state}'" for state in JobState if state not in TERMINAL) + ")"
#: How long a process relies on an hour's being in the index.
HOUR_REMEMBERED = timedelta(seconds=10)


class TableStatusStore:
    """`StatusStore` over azure-data-tables."""

    def __init__(self, tables: TableConnection, clock: Callable[[], datetime]) -> None:
        self._tables = tables
        self._clock = clock
        self._hours_known_until: dict[tuple[str, str], datetime] = {}

    async def insert(self, job: Job) -> str:
        """See StatusStore."""
        await self._remember_hour(job)
        return await self._insert(job)

    async def insert_many(self, jobs: Sequence[Job]) -> list[str | Exception]:
        """See StatusStore. One transaction takes 100 rows of one partition; all transactions run side by side."""
        partitions: dict[str, list[Job]] = {}
        for job in jobs:
            partitions.setdefault(partition_key(job.tenant, job.job_id), []).append(job)
        for first in {(job.tenant, hour_of(job.job_id)): job for job in jobs}.values():
            await self._remember_hour(first)
        groups = [
            rows[start : start + TRANSACTION_LIMIT]
            for rows in partitions.values()
            for start in range(0, len(rows), TRANSACTION_LIMIT)
        ]
        outcomes: dict[str, str | Exception] = {}
        for group, etags in zip(groups, await asyncio.gather(*map(self._insert_group, groups)), strict=True):
            outcomes.update({job.job_id: etag for job, etag in zip(group, etags, strict=True)})
        return [outcomes[job.job_id] for job in jobs]

    async def get(self, tenant: str, job_id: str) -> VersionedJob | None:
        """See StatusStore."""
        try:
            entity = await self._tables.call(
                lambda: self._tables.table(JOBS).get_entity(partition_key(tenant, job_id), row_key(job_id))
            )
        except ResourceNotFoundError:
            return None
        return VersionedJob(job_of(entity), str(entity.metadata["etag"]))

    async def update(self, old: Job, new: Job, etag: str) -> str:
        """See StatusStore. A merge of the changed columns only."""
        entity = changes(old, new)
        try:
            answer = await self._tables.call(
                lambda: self._tables.table(JOBS).update_entity(
                    entity, UpdateMode.MERGE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            )
        except (ResourceModifiedError, ResourceNotFoundError) as exc:
            raise PreconditionFailedError(new.job_id) from exc
        return str(answer["etag"])

    async def delete(self, job: Job, etag: str) -> None:
        """See StatusStore."""
        key = {"PartitionKey": partition_key(job.tenant, job.job_id), "RowKey": row_key(job.job_id)}
        try:
            await self._tables.call(
                lambda: self._tables.table(JOBS).delete_entity(
                    key, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            )
        except ResourceModifiedError as exc:
            raise PreconditionFailedError(job.job_id) from exc

    async def hours(self, tenant: str, before: str | None = None) -> list[str]:
        """See StatusStore."""
        query = "PartitionKey eq @tenant and RowKey ge @first"
        parameters = {"tenant": tenant, "first": inverted_hour(before) if before else ""}
        rows = await self._tables.query(HOURS, query, parameters, select=["hour"])
        return [str(row["hour"]) for row in rows]

    async def page(self, tenant: str, hour: str, wanted: JobFilter, limit: int, after: str | None) -> list[Job]:
        """See StatusStore. Every shard is asked for a whole page, for any of them may hold it."""
        query = "PartitionKey eq @partition and RowKey gt @after"
        parameters: dict[str, Any] = {"after": row_key(after) if after else ""}
        for name in ("state", "job_type", "priority"):
            value = getattr(wanted, name)
            if value is not None:
                query += f" and {name} eq @{name}"
                parameters[name] = str(value)
        shards = await asyncio.gather(
            *(
                self._tables.query(
                    JOBS, query, {**parameters, "partition": shard}, select=listed_columns(), limit=limit
                )
                for shard in shard_keys(tenant, hour)
            )
        )
        rows = sorted((row for shard in shards for row in shard), key=lambda row: str(row["RowKey"]))
        return [job_of(row) for row in rows[:limit]]

    async def unfinished(self, tenant: str, hour: str) -> list[VersionedJob]:
        """See StatusStore."""
        rows = await self._of_hour(tenant, hour, _UNFINISHED, {})
        return [VersionedJob(job_of(row), row.metadata["etag"]) for row in rows]

    async def count_unfinished(self, tenant: str, limit: int) -> int:
        """See StatusStore. Keys alone are read, hour by hour."""
        count = 0
        for hour in await self.hours(tenant):
            if count < limit:
                count += len(await self._of_hour(tenant, hour, _UNFINISHED, {}, ["RowKey"], limit - count))
        return min(count, limit)

    async def open_jobs(self, tenant: str, limit: int) -> list[OpenJob]:
        """See StatusStore. Of each row three columns are read."""
        columns = ["state", "job_type", "priority"]
        jobs: list[OpenJob] = []
        for hour in await self.hours(tenant):
            if len(jobs) < limit:
                rows = await self._of_hour(tenant, hour, _UNFINISHED, {}, columns, limit - len(jobs))
                jobs += [OpenJob(JobState(r["state"]), r["job_type"], Priority(r["priority"])) for r in rows]
        return jobs[:limit]

    async def expire(self, tenant: str, hour: str, finished_before: datetime) -> int:
        """See StatusStore."""
        # A time that is not set is stored as an empty text, which sorts before any time.
        ended = "finished_at gt '' and finished_at lt @before"
        keys = ["PartitionKey", "RowKey"]
        rows = await self._of_hour(tenant, hour, ended, {"before": _text(finished_before)}, select=keys)
        partitions: dict[str, list[Any]] = {}
        for row in rows:
            partitions.setdefault(row["PartitionKey"], []).append(row)
        for partition in partitions.values():
            for start in range(0, len(partition), TRANSACTION_LIMIT):
                await self._delete_group(partition[start : start + TRANSACTION_LIMIT])
        if hour_end(hour) < finished_before and not await self._of_hour(tenant, hour, "RowKey ge ''", {}, keys, 1):
            await self._tables.call(lambda: self._tables.table(HOURS).delete_entity(tenant, inverted_hour(hour)))
        return len(rows)

    async def remember_key(self, tenant: str, key: IdempotencyKey) -> IdempotencyKey:
        """See StatusStore. The client's key is hashed: it may hold any characters and be long."""
        entity = {
            "PartitionKey": tenant,
            "RowKey": hashlib.sha256(key.key.encode()).hexdigest(),
            "job_id": key.job_id,
            "digest": key.digest,
            "expires_at": _text(key.expires_at),
        }
        while True:
            try:
                await self._tables.call(lambda: self._tables.table(KEYS).create_entity(entity), inserts=True)
            except ResourceExistsError:
                held = await self._held_key(entity)
                if held is None:
                    continue
                expires_at = datetime.fromisoformat(held["expires_at"])
                if expires_at > self._clock():
                    return IdempotencyKey(key.key, held["job_id"], held["digest"], expires_at)
                if not await self._replace_key(entity, held.metadata["etag"]):
                    continue
            return key

    async def close(self) -> None:
        """Close the connections."""
        await self._tables.close()

    async def _held_key(self, entity: Mapping[str, Any]) -> Any:
        try:
            return await self._tables.call(
                lambda: self._tables.table(KEYS).get_entity(entity["PartitionKey"], entity["RowKey"])
            )
        except ResourceNotFoundError:
            return None

    async def _replace_key(self, entity: dict[str, Any], etag: str) -> bool:
        try:
            await self._tables.call(
                lambda: self._tables.table(KEYS).update_entity(
                    entity, UpdateMode.REPLACE, etag=etag, match_condition=MatchConditions.IfNotModified
                )
            )
        except (ResourceModifiedError, ResourceNotFoundError):
            return False
        return True

    async def _insert(self, job: Job) -> str:
        entity = row_of(job)
        try:
            answer = await self._tables.call(lambda: self._tables.table(JOBS).create_entity(entity), inserts=True)
        except ResourceExistsError as exc:
            raise ConflictError(job.job_id) from exc
        return str(answer["etag"])

    async def _insert_group(self, group: list[Job]) -> Sequence[str | Exception]:
        operations = [("create", row_of(job)) for job in group]
        try:
            answers = await self._tables.call(lambda: self._tables.table(JOBS).submit_transaction(operations))
        except (TableTransactionError, ResourceExistsError):
            # One row spoils a transaction (a repeated call finds its first half stored): each on its own then.
            return await asyncio.gather(*map(self._insert, group), return_exceptions=True)  # type: ignore[return-value]
        except TransientError as exc:
            return [exc] * len(group)
        return [str(answer["etag"]) for answer in answers]

    async def _delete_group(self, rows: list[Any]) -> None:
        operations = [("delete", {"PartitionKey": row["PartitionKey"], "RowKey": row["RowKey"]}) for row in rows]
        try:
            await self._tables.call(lambda: self._tables.table(JOBS).submit_transaction(operations))
        except (TableTransactionError, ResourceNotFoundError) as exc:
            raise TransientError("another janitor removes the same rows") from exc

    async def _remember_hour(self, job: Job) -> None:
        """Put the job's hour into the index, every now and then: a table that is killed may lose it, and with it the
        janitor would lose sight of the hour's jobs. An hour that is over may have left the index, so always then."""
        hour = hour_of(job.job_id)
        known = (job.tenant, hour)
        now = self._clock()
        if known in self._hours_known_until and now < self._hours_known_until[known]:
            return
        entity = {"PartitionKey": job.tenant, "RowKey": inverted_hour(hour), "hour": hour}
        await self._tables.call(lambda: self._tables.table(HOURS).upsert_entity(entity), inserts=True)
        self._hours_known_until[known] = min(now + HOUR_REMEMBERED, hour_end(hour))

    async def _of_hour(
        self,
        tenant: str,
        hour: str,
        condition: str,
        parameters: Mapping[str, Any],
        select: list[str] | None = None,
        limit: int | None = None,
    ) -> list[Any]:
        """The rows of all shards of an hour that meet a condition."""
        query = f"PartitionKey eq @partition and {condition}"
        shards = await asyncio.gather(
            *(
                self._tables.query(JOBS, query, {**parameters, "partition": shard}, select, limit)
                for shard in shard_keys(tenant, hour)
            )
        )
        return [row for shard in shards for row in shard]


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
