"""The errors of the Cosmos DB REST API.

Statuses and substatuses: https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb
"""

from __future__ import annotations

import msgspec

#: Substatus of a 404 whose parent (database or container) does not exist; the SDK then refreshes its container cache.
OWNER_NOT_FOUND = 1003
#: Substatus of a 400: the item's partition key is not the one in the request's header.
PARTITION_KEY_MISMATCH = 1001
#: Substatus of a 400: the container was deleted and created anew since the client cached its _rid.
COLLECTION_RID_MISMATCH = 1024
#: Substatus of a 412: a patch's filter predicate did not match.
PREDICATE_NOT_MET = 1110


class CosmosError(Exception):
    """An answer other than success: HTTP status, Cosmos code, message and, where it matters, the substatus."""

    def __init__(self, status: int, code: str, message: str, substatus: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.substatus = substatus

    def body(self, activity_id: str) -> bytes:
        message = f"{self.message}\r\nActivityId: {activity_id}"
        return msgspec.json.encode({"code": self.code, "message": message})


def bad_request(message: str, substatus: int = 0) -> CosmosError:
    return CosmosError(400, "BadRequest", message, substatus)


def unsupported(what: str) -> CosmosError:
    """400 for something that the real service can do and this emulator cannot."""
    return bad_request(f"{what} is not supported by this emulator.")


def not_found(message: str = "Entity with the specified id does not exist in the system.") -> CosmosError:
    return CosmosError(404, "NotFound", message)


def owner_not_found(what: str) -> CosmosError:
    return CosmosError(404, "NotFound", f"Owner resource does not exist: {what}", OWNER_NOT_FOUND)


def conflict() -> CosmosError:
    return CosmosError(409, "Conflict", "Entity with the specified id already exists in the system.")


def precondition_failed(substatus: int = 0) -> CosmosError:
    return CosmosError(
        412,
        "PreconditionFailed",
        "Operation cannot be performed because one of the preconditions is not met",
        substatus,
    )


def too_large(limit: str) -> CosmosError:
    return CosmosError(413, "RequestEntityTooLarge", f"Request size is too large: {limit}")
