"""Job ids and the keys made from them.

An id is a UUIDv7 (RFC 9562, section 5.7): its first 48 bits are milliseconds since the epoch, so ids sort by time and
the partition of a job's row is known from the id alone.
"""

from __future__ import annotations

import random
import re
import uuid
from datetime import UTC, datetime, timedelta

#: Partitions an hour and tenant: a power of two. Rows of one hour spread over them, for Table Storage serves 2,000
#: entities a second and partition. Fixed, since a job's partition is computed from its id.
SHARDS = 4

_MAX = (1 << 128) - 1
_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_HOUR = "%Y%m%d%H"


def new_job_id(now: datetime, rng: random.Random) -> str:
    """A fresh UUIDv7 for the time `now`."""
    milliseconds = int(now.timestamp() * 1000)
    value = (milliseconds << 80) | (0x7 << 76) | (rng.getrandbits(12) << 64) | (0b10 << 62) | rng.getrandbits(62)
    return str(uuid.UUID(int=value))


def is_job_id(text: str) -> bool:
    """Whether `text` is a UUIDv7 in canonical lower-case form."""
    return _CANONICAL.fullmatch(text) is not None


def id_time(job_id: str) -> datetime:
    """The time in a job id, in UTC with millisecond precision."""
    return datetime.fromtimestamp((uuid.UUID(job_id).int >> 80) / 1000, UTC)


def hour_of(job_id: str) -> str:
    """The hour of a job id as `yyyymmddhh`."""
    return id_time(job_id).strftime(_HOUR)


def hour_end(hour: str) -> datetime:
    """The end of an hour named `yyyymmddhh`."""
    return datetime.strptime(hour, _HOUR).replace(tzinfo=UTC) + timedelta(hours=1)


def partition_key(tenant: str, job_id: str) -> str:
    """The partition of a job's status row and result: tenant, hour of the id and shard."""
    return shard_keys(tenant, hour_of(job_id))[uuid.UUID(job_id).int % SHARDS]


def shard_keys(tenant: str, hour: str) -> tuple[str, ...]:
    """All partitions of one tenant and hour."""
    return tuple(f"{tenant}-{hour}-{shard}" for shard in range(SHARDS))


def row_key(job_id: str) -> str:
    """The id inverted, as 32 hex digits: ascending row keys list the newest job first."""
    return f"{_MAX - uuid.UUID(job_id).int:032x}"


def job_id_of(row: str) -> str:
    """The job id of a row key."""
    return str(uuid.UUID(int=_MAX - int(row, 16)))


def inverted_hour(hour: str) -> str:
    """The hour as a key that sorts newest first."""
    return f"{9_999_999_999 - int(hour):010d}"


def message_id(job_id: str, run: int, attempt: int, copy: str = "") -> str:
    """The broker's message id of an attempt. Duplicate detection drops a second message with the same id, so a copy
    that must arrive (a snooze, a return after somebody's lease) names itself by `copy`."""
    base = f"{job_id}:{run}:{attempt}"
    return f"{base}:{copy}" if copy else base
