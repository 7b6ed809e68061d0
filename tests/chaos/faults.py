"""The errors of Table Storage and Cosmos DB as rules for their proxies, each as the service words it."""

from __future__ import annotations

import json
from typing import Any

Rule = dict[str, Any]

_TABLE_CODES = {
    409: "EntityAlreadyExists",
    412: "UpdateConditionNotSatisfied",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServerBusy",
}
_COSMOS_CODES = {
    409: "Conflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalServerError",
    503: "ServiceUnavailable",
}
#: A conflict is an answer to an insert alone, a failed precondition one to a conditional write alone.
_TABLE_METHODS = {409: "POST", 412: "PATCH"}
_COSMOS_METHODS = {409: "POST", 412: "PUT"}
_INSERT = r"/(jobs|idempotencykeys)$"
_UPDATE = r"/jobs\("
_DOCUMENT = r"/docs"


def table(status: int, **options: Any) -> Rule:
    """The table answers so, without having done anything."""
    code = _TABLE_CODES[status]
    body = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": f"{code}, a fault."}}}
    return {
        "fault": "answer",
        "status": status,
        "method": _TABLE_METHODS.get(status, ""),
        "path": {409: _INSERT, 412: _UPDATE}.get(status, ""),
        "headers": {"x-ms-error-code": code, **({"Retry-After": "1"} if status in {429, 503} else {})},
        "body": json.dumps(body),
        **options,
    }


def cosmos(status: int, **options: Any) -> Rule:
    """Cosmos DB answers so, without having done anything."""
    return {
        "fault": "answer",
        "status": status,
        "method": _COSMOS_METHODS.get(status, ""),
        "path": _DOCUMENT,
        "headers": {"x-ms-retry-after-ms": "200"} if status == 429 else {},
        "body": json.dumps({"code": _COSMOS_CODES[status], "message": "A fault."}),
        **options,
    }


STATUSES = tuple(_TABLE_CODES)
