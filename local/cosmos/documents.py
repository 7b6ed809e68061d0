"""Endpoints of a container's items: point operations, transactional batch, queries and the feed of all items."""

from __future__ import annotations

from local.cosmos import partition_key as keys
from local.cosmos.batch import execute_batch
from local.cosmos.errors import bad_request, unsupported
from local.cosmos.items import Operation, Outcome, execute
from local.cosmos.query.reader import Page, Reader
from local.cosmos.request import Query, Reply, Request, method_not_allowed, parse_query
from local.cosmos.resources import Container
from local.cosmos.store import Store

PARTITION_KEY = "x-ms-documentdb-partitionkey"
_POINT_OPERATIONS = {"GET": "Read", "PUT": "Replace", "PATCH": "Patch", "DELETE": "Delete"}
#: Headers that would change the answer if they were honoured.
_REFUSED_HEADERS = {
    "a-im": "The change feed",
    "x-ms-start-epk": "A query on a feed range or on a prefix of a hierarchical partition key",
    "x-ms-documentdb-pre-trigger-include": "A trigger",
    "x-ms-documentdb-post-trigger-include": "A trigger",
}


def item(store: Store, container: Container, request: Request) -> Reply:
    """GET, PUT, PATCH or DELETE on `.../docs/{id}`."""
    kind = _POINT_OPERATIONS.get(request.method)
    if kind is None:
        raise method_not_allowed(request)
    key = _partition_key(container, request)
    if key is None:
        raise bad_request("PartitionKey value must be supplied for this operation.")
    return _execute(store, container, key, request, kind)


async def items(store: Store, reader: Reader, container: Container, request: Request) -> Reply:
    """POST or GET on `.../docs`."""
    for header, what in _REFUSED_HEADERS.items():
        if header in request.headers:
            raise unsupported(what)
    key = _partition_key(container, request)
    if request.method == "GET":
        return _page(container, await reader.page(container, key, Query("SELECT * FROM c", {}), *_paging(request)))
    if request.method != "POST":
        raise method_not_allowed(request)
    if request.is_query:
        return await _query(reader, container, key, request)
    if request.flag("x-ms-cosmos-is-batch-request"):
        return _batch(store, container, key, request)
    kind = "Upsert" if request.flag("x-ms-documentdb-is-upsert") else "Create"
    return _execute(store, container, key or keys.from_item(request.json(), container.key_paths), request, kind)


def _partition_key(container: Container, request: Request) -> str | None:
    text = request.headers.get(PARTITION_KEY)
    return None if text is None else keys.from_header(text, container.key_paths)


def _execute(store: Store, container: Container, key: str, request: Request, kind: str) -> Reply:
    operation = Operation(
        kind,
        request.path[5] if len(request.path) > 5 else None,
        None if kind in ("Read", "Delete") else request.json(),
        request.headers.get("if-match"),
        request.headers.get("if-none-match"),
    )
    outcome: Outcome = execute(store, container, key, operation)
    headers = {"x-ms-request-charge": f"{outcome.charge:.2f}"}
    if outcome.etag:
        headers["etag"] = outcome.etag
    silent = kind != "Read" and request.headers.get("prefer") == "return=minimal"
    return Reply(outcome.status, b"" if silent else outcome.body, headers)


def _batch(store: Store, container: Container, key: str | None, request: Request) -> Reply:
    if key is None:
        raise bad_request("PartitionKey value must be supplied for a transactional batch.")
    if not request.flag("x-ms-cosmos-batch-atomic"):
        raise unsupported("A batch that is not atomic (bulk mode)")
    status, body, charge = execute_batch(store, container, key, request.body)
    return Reply(status, body, {"x-ms-request-charge": f"{charge:.2f}"})


async def _query(reader: Reader, container: Container, key: str | None, request: Request) -> Reply:
    if request.flag("x-ms-cosmos-is-query-plan-request"):
        raise unsupported("A query plan (every query is answered directly)")
    if key is None and not request.flag("x-ms-documentdb-query-enablecrosspartition"):
        raise bad_request(
            "Cross partition query is required but disabled. Please set x-ms-documentdb-query-enablecrosspartition to "
            "true, specify x-ms-documentdb-partitionkey, or revise your query to avoid this exception."
        )
    return _page(container, await reader.page(container, key, parse_query(request), *_paging(request)))


def _paging(request: Request) -> tuple[int, str | None]:
    """How many items the client wants in a page, -1 for the service's choice, and its continuation token."""
    try:
        count = int(request.headers.get("x-ms-max-item-count", "-1"))
    except ValueError:
        raise bad_request("The header x-ms-max-item-count must be a number.") from None
    return count, request.headers.get("x-ms-continuation")


def _page(container: Container, page: Page) -> Reply:
    headers = {"x-ms-item-count": str(page.size), "x-ms-request-charge": f"{page.charge:.2f}"}
    if page.continuation:
        headers["x-ms-continuation"] = page.continuation
    body = b'{"_rid":"%s","Documents":[%s],"_count":%d}' % (container.rid.encode(), page.documents, page.size)
    return Reply(200, body, headers)
