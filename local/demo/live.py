"""Live changes by Azure SignalR: the JSON hub protocol over a websocket.

Source: the hub protocol's specification, dotnet/aspnetcore, src/SignalR/docs/specs/HubProtocol.md.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

from aiohttp import ClientConnectionError, ClientSession, WSMsgType
from yarl import URL

_END = "\x1e"  # ends each record; a frame may hold several
_INVOCATION = 1
_CLOSE = 7
_TARGET = "jobsChanged"

Changes = Callable[[], Awaitable[list[dict[str, Any]]]]


@contextlib.asynccontextmanager
async def listen(session: ClientSession, negotiated: Mapping[str, Any]) -> AsyncIterator[Changes]:
    """Connect with what the API's negotiate answered; yields a function that waits for the next changed jobs.

    Raises aiohttp's ClientError when the connection cannot be made or ends.
    """
    hub = URL(negotiated["url"])
    token = negotiated["accessToken"]
    negotiate = (
        hub.with_path(f"{hub.path.rstrip('/')}/negotiate").update_query(hub.query).update_query(negotiateVersion=1)
    )
    headers = {"Authorization": f"Bearer {token}"}
    async with session.post(negotiate, headers=headers, raise_for_status=True) as response:
        connection = (await response.json())["connectionToken"]
    socket_url = hub.with_scheme("wss" if hub.scheme == "https" else "ws").update_query(
        id=connection, access_token=token
    )
    async with session.ws_connect(socket_url) as socket:
        await socket.send_str(json.dumps({"protocol": "json", "version": 1}) + _END)

        async def changes() -> list[dict[str, Any]]:
            message = await socket.receive()
            if message.type is not WSMsgType.TEXT:
                raise ClientConnectionError(f"the SignalR connection ended ({message.type.name})")
            return [job for record in _records(message.data) for job in _changed_jobs(record)]

        yield changes


def _records(frame: str) -> Iterator[dict[str, Any]]:
    for text in frame.split(_END):
        if text:
            yield json.loads(text)


def _changed_jobs(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The jobs in one record; pings and the handshake's answer carry none."""
    if record.get("error") or record.get("type") == _CLOSE:
        raise ClientConnectionError(f"SignalR closed the connection: {record.get('error', 'no reason given')}")
    if record.get("type") == _INVOCATION and record["target"] == _TARGET:
        jobs: list[dict[str, Any]] = record["arguments"][0]
        return jobs
    return []
