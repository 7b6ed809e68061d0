"""What ORDER BY needs of a container's indexing policy; the service refuses the query without it.

https://learn.microsoft.com/azure/cosmos-db/index-policy
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from local.cosmos.errors import bad_request
from local.cosmos.query.syntax import OrderItem, path_of


def check_order_by(policy: dict[str, Any], order_by: Sequence[OrderItem]) -> None:
    """400 when a path is not indexed, or several paths have no composite index in this order or its reverse."""
    paths = [_index_path(item) for item in order_by]
    if len(paths) == 1 and not _is_indexed(policy, paths[0]):
        raise bad_request("The index path corresponding to the specified order-by item is excluded.")
    if len(paths) > 1 and not _has_composite(policy, paths, [item.descending for item in order_by]):
        raise bad_request(
            "The order by query does not have a corresponding composite index that it can be served from: add "
            f"compositeIndexes with {', '.join(paths)} to the container's indexingPolicy."
        )


def _index_path(item: OrderItem) -> str:
    names = path_of(item.expression) or ()
    return "".join("/[]" if isinstance(name, int) else f"/{name}" for name in names[1:])


def _is_indexed(policy: dict[str, Any], path: str) -> bool:
    """The longest included or excluded path that covers `path` decides."""
    if policy.get("indexingMode") == "none":
        return False
    covering = [
        (len(pattern), included)
        for name, included in (("includedPaths", True), ("excludedPaths", False))
        for entry in policy.get(name) or ()
        if _covers(pattern := str(entry.get("path", "")).replace('"', ""), path)
    ]
    return max(covering, default=(0, False))[1]


def _covers(pattern: str, path: str) -> bool:
    if pattern.endswith("/*"):
        return f"{path}/".startswith(pattern[:-1])
    return pattern.removesuffix("/?") == path


def _has_composite(policy: dict[str, Any], paths: list[str], descending: list[bool]) -> bool:
    for composite in policy.get("compositeIndexes") or ():
        indexed = [str(entry.get("path", "")).replace('"', "").removesuffix("/?") for entry in composite]
        orders = [entry.get("order", "ascending") == "descending" for entry in composite]
        if indexed == paths and descending in (orders, [not order for order in orders]):
            return True
    return False
