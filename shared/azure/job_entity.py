"""A job as a table entity: one column a field, so that the portal's explorer shows it and a merge writes little.

A merge cannot remove a column, so a field that is not set is an empty text. Lists and objects that may grow long are
compressed JSON, cut into columns of 64 KiB (the limit of one property).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.jobs.ids import job_id_of, partition_key, row_key
from shared.jobs.model import Attempt, Job, JobError, JobState, Priority, TimelineEntry

_CHUNK = 64 * 1024


class _Column(msgspec.Struct, frozen=True):
    to_table: Callable[[Any], Any]
    from_table: Callable[[Any], Any]


def _time_to_text(moment: datetime | None) -> str:
    # A fixed width, so that texts compare as times do.
    return "" if moment is None else moment.astimezone(UTC).isoformat(timespec="microseconds")


def _text_to_time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _json_text(of: Any) -> _Column:
    decoder = msgspec.json.Decoder(of)
    return _Column(
        lambda value: msgspec.json.encode(value).decode() if value else "",
        lambda text: decoder.decode(text) if text else (None if of is JobError else ()),
    )


def _compressed(of: Any) -> _Column:
    decoder = msgspec.json.Decoder(of)
    return _Column(
        lambda value: zlib.compress(msgspec.json.encode(value), 1),
        # Chunks that a longer value left behind follow the end of the stream, where nothing is read.
        lambda data: decoder.decode(zlib.decompressobj().decompress(data)),
    )


_PLAIN = _Column(lambda value: value, lambda value: value)
_TIME = _Column(_time_to_text, _text_to_time)

_COLUMNS: dict[str, _Column] = {
    **dict.fromkeys(("trace_id", "tenant", "job_type", "message", "traceparent", "owner"), _PLAIN),
    **dict.fromkeys(("max_attempts", "progress", "run", "attempt", "fence", "cancel_requested"), _PLAIN),
    "timeout_seconds": _Column(float, float),
    "state": _Column(str, JobState),
    "priority": _Column(str, Priority),
    **dict.fromkeys(("created_at", "run_at", "updated_at", "started_at", "finished_at", "lease_until"), _TIME),
    "tags": _json_text(tuple[str, ...]),
    "error": _json_text(JobError),
}

_COMPRESSED: dict[str, _Column] = {
    "payload": _compressed(dict[str, Any]),
    "attempts": _compressed(tuple[Attempt, ...]),
    "timeline": _compressed(tuple[TimelineEntry, ...]),
}
_EMPTY: dict[str, Any] = {"payload": {}, "attempts": (), "timeline": ()}


def row_of(job: Job) -> dict[str, Any]:
    """The whole entity of a job."""
    entity = _key(job)
    for name, column in _COLUMNS.items():
        entity[name] = column.to_table(getattr(job, name))
    for name in _COMPRESSED:
        if getattr(job, name) != _EMPTY[name]:
            _add_compressed(entity, job, name)
    return entity


def changes(old: Job, new: Job) -> dict[str, Any]:
    """The keys and those columns in which `new` differs from `old`: what a merge has to carry."""
    entity = _key(new)
    for name, column in _COLUMNS.items():
        value = getattr(new, name)
        if value != getattr(old, name):
            entity[name] = column.to_table(value)
    for name in _COMPRESSED:
        if getattr(new, name) != getattr(old, name):
            _add_compressed(entity, new, name)
    return entity


def job_of(entity: Mapping[str, Any]) -> Job:
    """The job in an entity; long fields that were not selected are empty."""
    fields = {name: column.from_table(entity[name]) for name, column in _COLUMNS.items()}
    for name, column in _COMPRESSED.items():
        chunks = [entity[name]] if name in entity else []
        while (following := f"{name}_{len(chunks)}") in entity and chunks:
            chunks.append(entity[following])
        data = b"".join(chunks)
        fields[name] = column.from_table(data) if data else _EMPTY[name]
    return Job(job_id=job_id_of(entity["RowKey"]), **fields)


def listed_columns() -> list[str]:
    """The columns that a listing needs: all but the long ones."""
    return ["PartitionKey", "RowKey", *_COLUMNS]


def _key(job: Job) -> dict[str, Any]:
    return {"PartitionKey": partition_key(job.tenant, job.job_id), "RowKey": row_key(job.job_id)}


def _add_compressed(entity: dict[str, Any], job: Job, name: str) -> None:
    data = _COMPRESSED[name].to_table(getattr(job, name))
    chunks = [data[start : start + _CHUNK] for start in range(0, len(data), _CHUNK)]
    entity[name] = chunks[0]
    for number, chunk in enumerate(chunks[1:], start=1):
        entity[f"{name}_{number}"] = chunk
