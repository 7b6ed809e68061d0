"""The gateway: one HTTP server that authorizes a request, finds its endpoint and adds the protocol's headers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from local.cosmos import auth, documents, metadata
from local.cosmos.errors import COLLECTION_RID_MISMATCH, CosmosError, bad_request, too_large, unsupported
from local.cosmos.query.reader import Reader
from local.cosmos.request import Reply, Request
from local.cosmos.resources import Container
from local.cosmos.store import Store

#: Larger bodies are refused while they arrive; an item's or a batch's own limit is 2 MB.
MAX_BODY_BYTES = 8 * 1024 * 1024
#: Expired items are invisible at once; their rows go within this time.
PURGE_SECONDS = 2.0
#: How long requests that run when the emulator stops may take to end.
SHUTDOWN_SECONDS = 2.0

_log = logging.getLogger("cosmos")


class Gateway:
    """Answers requests from `store`, queries from `reader`; `key` is the account's master key."""

    def __init__(self, store: Store, reader: Reader, key: bytes) -> None:
        self._store = store
        self._reader = reader
        self._key = key

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """The answer to any request; a fault of the emulator itself is logged and answered 500."""
        headers = request.headers
        activity_id = headers.get("x-ms-activity-id") or str(uuid.uuid4())
        try:
            reply = await self._answer(request)
        except CosmosError as error:
            reply = Reply(error.status, error.body(activity_id))
            if error.substatus:
                reply.headers["x-ms-substatus"] = str(error.substatus)
        except Exception:  # noqa: BLE001 - one failed request must not end the service; the traceback is logged
            _log.exception("%s %s failed", request.method, request.raw_path)
            fault = CosmosError(500, "InternalServerError", "The emulator failed: its log tells why.")
            reply = Reply(fault.status, fault.body(activity_id))
        reply.headers.setdefault("x-ms-request-charge", "1.00")
        reply.headers["x-ms-activity-id"] = activity_id
        reply.headers["x-ms-session-token"] = f"0:-1#{self._store.last_version}"
        reply.headers["x-ms-gatewayversion"] = "version=2.14.0"
        reply.headers["Content-Type"] = "application/json"
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)

    async def _answer(self, incoming: web.BaseRequest) -> Reply:
        path = [unquote(segment) for segment in incoming.raw_path.partition("?")[0].split("/") if segment]
        auth.check(self._key, incoming.method, path, incoming.headers)
        try:
            body = await incoming.read()
        except web.HTTPRequestEntityTooLarge:
            raise too_large(f"a body of more than {MAX_BODY_BYTES} bytes.") from None
        base_url = f"{incoming.scheme}://{incoming.host}/"
        return await self._route(Request(incoming.method, path, incoming.headers, body, base_url))

    async def _route(self, request: Request) -> Reply:
        match request.path:
            case []:
                return metadata.account(request)
            case ["dbs"]:
                return metadata.databases(self._store, request)
            case ["dbs", _]:
                return metadata.database(self._store, request)
            case ["dbs", _, "colls"]:
                return metadata.containers(self._store, request)
            case ["dbs", _, "colls", _]:
                return metadata.container(self._store, self._container(request), request)
            case ["dbs", _, "colls", _, "pkranges"]:
                return metadata.partition_key_ranges(self._container(request), request)
            case ["dbs", _, "colls", _, "docs", *_]:
                return await self._documents(request)
            case ["offers", *_]:
                return metadata.offers()
        raise unsupported(f"The resource /{'/'.join(request.path)}")

    async def _documents(self, request: Request) -> Reply:
        container = self._container(request)
        match request.path[5:]:
            case []:
                reply = await documents.items(self._store, self._reader, container, request)
            case [_]:
                reply = documents.item(self._store, container, request)
            case _:
                raise unsupported(f"The resource /{'/'.join(request.path)}")
        reply.headers["x-ms-documentdb-partitionkeyrangeid"] = "0"
        return reply

    def _container(self, request: Request) -> Container:
        container = self._store.container(request.path[1], request.path[3])
        expected = request.headers.get("x-ms-cosmos-intended-collection-rid")
        if expected and expected != container.rid:
            raise bad_request("Collection rid mismatch: the container was created anew.", COLLECTION_RID_MISMATCH)
        return container

    async def purge_forever(self) -> None:
        """Remove expired rows now and then, in small transactions between requests."""
        while True:  # noqa: ASYNC110 - what expires is a matter of time, nothing can signal it
            await asyncio.sleep(0 if self._store.purge() else PURGE_SECONDS)


@contextlib.asynccontextmanager
async def serving(gateway: Gateway, port: int) -> AsyncIterator[int]:
    """Serve on 127.0.0.1 for the length of the block; yields the port, which matters when 0 was asked for."""
    loop = asyncio.get_running_loop()

    def make_request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY_BYTES)

    server = web.Server(gateway.handle, request_factory=make_request, access_log=None)
    runner = web.ServerRunner(server, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    purge = loop.create_task(gateway.purge_forever())
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        purge.cancel()
        await runner.cleanup()
