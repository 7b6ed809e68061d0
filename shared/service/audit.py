"""The audit trail: who held, resumed, purged or replayed what, and when."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from shared.jobs.model import Instant
from shared.service.ports import Services, TransientError

logger = logging.getLogger(__name__)

#: The kind of the records. Their keys sort the newest first.
AUDIT = "audit"
_LAST_MILLISECOND = 10**15 - 1


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that somebody did; `details` depend on the action."""

    at: Instant
    by: str
    action: str
    target: str
    reason: str
    details: dict[str, Any]


async def audit(
    services: Services,
    *,
    by: str,
    action: str,
    target: str,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> None:
    """Keep what was done, in the log too. Never raises: what is done is done, and then the log alone has to tell."""
    now = services.clock()
    entry = AuditEntry(at=now, by=by, action=action, target=target, reason=reason, details=dict(details or {}))
    logger.info("audit: %s", msgspec.json.encode(entry).decode())
    key = f"{_LAST_MILLISECOND - int(now.timestamp() * 1000):015d}-{services.rng.getrandbits(32):08x}"
    try:
        await services.records.create(AUDIT, key, entry)
    except TransientError as exc:
        logger.error("the audit trail lacks this entry: %s: %s", msgspec.json.encode(entry).decode(), exc)
