"""Resource documents as the protocol shows them: account, databases, containers, partition key ranges.

https://learn.microsoft.com/rest/api/cosmos-db/cosmosdb-resource-uri-syntax-for-rest
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from typing import Any

from local.cosmos.errors import bad_request, unsupported

MAX_TTL = 2**31 - 1
DEFAULT_INDEXING_POLICY = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": '/"_etag"/?'}],
}
#: Container settings that change what a request answers and that this emulator does not honour.
_REFUSED_SETTINGS = ("computedProperties", "uniqueKeyPolicy", "vectorEmbeddingPolicy", "fullTextPolicy")


@dataclass(frozen=True)
class Container:
    """A container as requests need it; `number` is its key in the store, `default_ttl` seconds, -1 or None (off)."""

    number: int
    rid: str
    key_paths: tuple[tuple[str, ...], ...]
    default_ttl: int | None
    definition: dict[str, Any]


def database_rid(database: int) -> str:
    return _rid(database.to_bytes(4, "big"))


def container_rid(database: int, container: int) -> str:
    return _rid(database.to_bytes(4, "big") + container.to_bytes(4, "big"))


def item_rid(collection_rid: str, item: int) -> str:
    return _rid(base64.b64decode(collection_rid.replace("-", "/")) + item.to_bytes(8, "big"))


def _rid(raw: bytes) -> str:
    return base64.b64encode(raw).decode().replace("/", "-")


def account(base_url: str) -> dict[str, Any]:
    """The answer to `GET /`: one region, served at `base_url`, which the SDK then uses for every other request."""
    region = [{"name": "Local", "databaseAccountEndpoint": base_url}]
    return {
        "_self": "",
        "id": "local",
        "_rid": "local",
        "media": "//media/",
        "addresses": "//addresses/",
        "_dbs": "//dbs/",
        "writableLocations": region,
        "readableLocations": region,
        "enableMultipleWriteLocations": False,
        "userReplicationPolicy": {"asyncReplication": False, "minReplicaSetSize": 1, "maxReplicasetSize": 4},
        "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
        "systemReplicationPolicy": {"minReplicaSetSize": 1, "maxReplicasetSize": 4},
        "readPolicy": {"primaryReadCoefficient": 1, "secondaryReadCoefficient": 1},
        "queryEngineConfiguration": "{}",
    }


def database(number: int, identifier: str) -> dict[str, Any]:
    rid = database_rid(number)
    return {
        "id": identifier,
        "_rid": rid,
        "_self": f"dbs/{rid}/",
        "_etag": f'"{number:08x}-0000-0000-0000-000000000000"',
        "_colls": "colls/",
        "_users": "users/",
        "_ts": int(time.time()),
    }


def container(database_number: int, number: int, settings: dict[str, Any]) -> dict[str, Any]:
    """The stored document of a container with these settings; 400 for settings that are wrong or not honoured."""
    for name in _REFUSED_SETTINGS:
        if _is_set(settings.get(name)):
            raise unsupported(f"The container setting {name}")
    _key_paths(settings)
    _default_ttl(settings)
    rid = container_rid(database_number, number)
    return {
        "indexingPolicy": DEFAULT_INDEXING_POLICY,
        "geospatialConfig": {"type": "Geography"},
        **{name: value for name, value in settings.items() if value is not None},
        "_rid": rid,
        "_self": f"dbs/{database_rid(database_number)}/colls/{rid}/",
        "_etag": f'"{number:08x}-0000-0000-0000-{time.time_ns() // 1000:012x}"',
        "_docs": "docs/",
        "_sprocs": "sprocs/",
        "_triggers": "triggers/",
        "_udfs": "udfs/",
        "_conflicts": "conflicts/",
        "_ts": int(time.time()),
    }


def load_container(number: int, definition: dict[str, Any]) -> Container:
    return Container(number, definition["_rid"], _key_paths(definition), _default_ttl(definition), definition)


def partition_key_ranges(collection_rid: str) -> dict[str, Any]:
    """The one range that every container has here: the whole hash space, so that the SDK never fans a query out."""
    whole = {
        "_rid": collection_rid,
        "id": "0",
        "_etag": '"0"',
        "minInclusive": "",
        "maxExclusive": "FF",
        "ridPrefix": 0,
        "_self": "",
        "throughputFraction": 1,
        "status": "online",
        "parents": [],
        "_ts": 0,
    }
    return {"_rid": collection_rid, "PartitionKeyRanges": [whole], "_count": 1}


def check_id(value: Any) -> str:
    """A resource's or an item's id: 1 to 1023 characters, none of `/ \\ # ?`; 400 else."""
    if not isinstance(value, str) or not 1 <= len(value) <= 1023 or any(c in value for c in "/\\#?"):
        raise bad_request(
            "The input content is invalid because the required properties - 'id; ' - are missing, or the id is not "
            "1 to 1023 characters without any of '/', '\\', '#', '?'."
        )
    return value


def check_ttl(value: Any) -> int:
    """Seconds to live, or -1 for ever; 400 else."""
    if isinstance(value, int) and not isinstance(value, bool) and (value == -1 or 1 <= value <= MAX_TTL):
        return value
    raise bad_request(
        f"The input ttl '{value}' is invalid. Ensure to provide a nonzero positive integer less than or equal to "
        f"'{MAX_TTL}', or '-1'."
    )


def _default_ttl(settings: dict[str, Any]) -> int | None:
    value = settings.get("defaultTtl")
    return None if value is None else check_ttl(value)


def _key_paths(settings: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    key = settings.get("partitionKey")
    paths = key.get("paths") if isinstance(key, dict) else None
    if not isinstance(paths, list) or not 1 <= len(paths) <= 3:
        raise bad_request("partitionKey.paths is missing: a container needs one to three partition key paths.")
    for path in paths:
        if not isinstance(path, str) or not path.startswith("/") or '"' in path or "" in path[1:].split("/"):
            raise bad_request(f"The partition key path {path!r} is invalid (quoted names are not supported here).")
    return tuple(tuple(path[1:].split("/")) for path in paths)


def _is_set(value: Any) -> bool:
    """Whether a policy says anything: SDKs send empty ones such as {"uniqueKeys": []}."""
    return any(value.values()) if isinstance(value, dict) else bool(value)
