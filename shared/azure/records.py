"""Small shared facts in Table Storage: one table, a partition a kind, a row a key, the value as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableTransactionError, UpdateMode

from shared.azure.table_service import TableConnection
from shared.service.ports import ConflictError, PreconditionFailedError, Record

RECORDS = "records"


class TableRecords:
    """`Records` over azure-data-tables."""

    def __init__(self, tables: TableConnection) -> None:
        self._tables = tables

    async def list(self, kind: str, first: str = "", limit: int | None = None) -> list[Record]:
        """See Records."""
        query = "PartitionKey eq @kind and RowKey ge @first"
        rows = await self._tables.query(RECORDS, query, {"kind": kind, "first": first}, limit=limit)
        return [_record(row) for row in rows]

    async def get(self, kind: str, key: str) -> Record | None:
        """See Records."""
        try:
            return _record(await self._tables.call(lambda: self._table().get_entity(kind, key)))
        except ResourceNotFoundError:
            return None

    async def create(self, kind: str, key: str, value: Any) -> str:
        """See Records."""
        entity = _entity(kind, key, value)
        try:
            answer = await self._tables.call(lambda: self._table().create_entity(entity), inserts=True)
        except ResourceExistsError as exc:
            raise ConflictError(key) from exc
        return str(answer["etag"])

    async def replace(self, kind: str, key: str, value: Any, etag: str) -> str:
        """See Records."""
        entity = _entity(kind, key, value)
        try:
            answer = await self._tables.call(
                lambda: self._table().update_entity(entity, UpdateMode.REPLACE, **_unchanged(etag))
            )
        except (ResourceModifiedError, ResourceNotFoundError) as exc:
            raise PreconditionFailedError(key) from exc
        return str(answer["etag"])

    async def put(self, kind: str, key: str, value: Any) -> None:
        """See Records."""
        entity = _entity(kind, key, value)
        await self._tables.call(lambda: self._table().upsert_entity(entity, UpdateMode.REPLACE), inserts=True)

    async def delete(self, kind: str, key: str) -> None:
        """See Records. The SDK is content when the row is not there."""
        await self._tables.call(lambda: self._table().delete_entity(kind, key))

    async def fold(self, kind: str, puts: Mapping[str, Any], seen: Sequence[Record]) -> None:
        """See Records. An entity group transaction, which takes 100 rows."""
        kept = {record.key: record.etag for record in seen if record.key in puts}
        operations: list[Any] = []
        for key, value in puts.items():
            entity = _entity(kind, key, value)
            if key in kept:
                operations.append(("update", entity, {"mode": UpdateMode.REPLACE, **_unchanged(kept[key])}))
            else:
                operations.append(("create", entity))
        for record in seen:
            if record.key not in puts:
                entity = {"PartitionKey": kind, "RowKey": record.key}
                operations.append(("delete", entity, _unchanged(record.etag)))
        try:
            await self._tables.call(lambda: self._table().submit_transaction(operations), inserts=True)
        except (
            TableTransactionError,
            ResourceExistsError,
            ResourceModifiedError,
            ResourceNotFoundError,
        ) as exc:
            raise PreconditionFailedError(kind) from exc

    async def close(self) -> None:
        """Close the connections."""
        await self._tables.close()

    def _table(self) -> Any:
        return self._tables.table(RECORDS)


def _entity(kind: str, key: str, value: Any) -> dict[str, str]:
    return {"PartitionKey": kind, "RowKey": key, "value": msgspec.json.encode(value).decode()}


def _unchanged(etag: str) -> dict[str, Any]:
    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _record(row: Any) -> Record:
    return Record(str(row["RowKey"]), msgspec.json.decode(row["value"]), str(row.metadata["etag"]))
