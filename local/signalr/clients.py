"""The endpoint that clients connect to: negotiate, then a WebSocket that speaks the JSON hub protocol.

Source: https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/TransportProtocols.md
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from local.signalr import protocol
from local.signalr.connection import Connection
from local.signalr.hub import Hub, Hubs
from local.signalr.tokens import Claims, TokenAuthority, TokenError

HUB_NAME = re.compile(r"[A-Za-z]\w*", re.ASCII)
_HANDSHAKE_SECONDS = 15
_NEGOTIATED_SECONDS = 60  # a connection token is good that long, and for one connection
_GOODBYE_SECONDS = 2
_MAX_MESSAGE = 1 << 20
_LOCAL_ORIGIN = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
_ONLY_LISTEN = "Clients of a serverless hub can only listen: no upstream is configured for invocations."


@dataclass(frozen=True, slots=True)
class _Negotiated:
    """What a connection token stands for."""

    connection_id: str
    hub: str
    user: str | None
    expires: float


class ClientEndpoint:
    """`/client`: lets clients in, listens to them, and pings those that hear nothing else."""

    def __init__(self, hubs: Hubs, tokens: TokenAuthority, ping_seconds: float) -> None:
        self._hubs = hubs
        self._tokens = tokens
        self._ping_seconds = ping_seconds
        self._negotiated: dict[str, _Negotiated] = {}  # oldest first

    def add_to(self, app: web.Application) -> None:
        app.router.add_post("/client/negotiate", self.negotiate)
        app.router.add_get("/client/", self.connect, allow_head=False)
        app.router.add_options("/client/negotiate", self._preflight)
        app.on_response_prepare.append(self._allow_local_pages)
        app.on_shutdown.append(self._say_goodbye)

    async def negotiate(self, request: web.Request) -> web.Response:
        """`POST /client/negotiate?hub=&negotiateVersion=`: a connection id and, from version 1, a secret token."""
        hub, claims = self._authorize(request)
        version = 1 if request.query.get("negotiateVersion", "0") != "0" else 0
        connection_id = secrets.token_urlsafe(16)
        token = secrets.token_urlsafe(16) if version else connection_id
        now = time.monotonic()
        for old in [key for key, negotiated in self._negotiated.items() if negotiated.expires <= now]:
            del self._negotiated[old]
        self._negotiated[token] = _Negotiated(connection_id, hub.lower(), claims.user, now + _NEGOTIATED_SECONDS)
        answer = {
            "negotiateVersion": version,
            "connectionId": connection_id,
            "availableTransports": [{"transport": "WebSockets", "transferFormats": ["Text"]}],
        }
        return web.json_response({**answer, "connectionToken": token} if version else answer)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """`GET /client/?hub=&id=&access_token=`: one client, from handshake to close."""
        hub_name, connection_id, user = self._admit(request)
        socket = web.WebSocketResponse(compress=False, max_msg_size=_MAX_MESSAGE, timeout=_GOODBYE_SECONDS)
        if not socket.can_prepare(request).ok:
            raise web.HTTPBadRequest(text="Connect with a WebSocket: no other transport is offered.")
        await socket.prepare(request)
        connection = Connection(connection_id, user, request.transport, socket)
        with contextlib.suppress(_GoneError, ConnectionError):
            try:
                handshake, _, rest = (await _receive(socket, _HANDSHAKE_SECONDS)).partition("\x1e")
                protocol.check_handshake(handshake)
            except protocol.ProtocolError as error:
                await socket.send_frame(protocol.handshake_refused(str(error)), WSMsgType.TEXT)
            else:
                await self._serve(self._hubs[hub_name], connection, socket, rest)
        await socket.close()
        return socket

    async def _serve(self, hub: Hub, connection: Connection, socket: web.WebSocketResponse, frame: str) -> None:
        """Listen to a client, `frame` first, until it leaves, falls silent or says what it must not."""
        hub.add(connection)  # before it learns that it is connected: from then on no send may miss it
        writer: asyncio.Task[None] | None = None
        try:
            await socket.send_frame(protocol.HANDSHAKE_DONE, WSMsgType.TEXT)
            writer = asyncio.create_task(connection.write(self._ping_seconds))
            while True:
                for record in protocol.records(frame):
                    _answer(connection, protocol.parse(record))
                frame = await _receive(socket, 2 * self._ping_seconds)
        except protocol.ProtocolError as error:
            connection.close(str(error), allow_reconnect=False)
        finally:
            hub.remove(connection)
            if writer is not None:
                await asyncio.wait({writer}, timeout=_GOODBYE_SECONDS if connection.closing else 0)
                writer.cancel()

    def _authorize(self, request: web.Request) -> tuple[str, Claims]:
        """The hub asked for and the claims of a token for just that hub."""
        hub = request.query.get("hub", "")
        if not HUB_NAME.fullmatch(hub):
            raise web.HTTPBadRequest(text="The query parameter hub is missing or no hub name.")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            token = request.query.get("access_token", "")  # a browser's WebSocket cannot send headers
        try:
            return hub, self._tokens.verify(token, f"{request.scheme}://{request.host}/client/?hub={hub}")
        except TokenError as error:
            raise unauthorized(error) from error

    def _admit(self, request: web.Request) -> tuple[str, str, str | None]:
        """Hub, connection id and user of a client that may connect; a connection token works once."""
        hub, claims = self._authorize(request)
        if "id" not in request.query:
            return hub, secrets.token_urlsafe(16), claims.user  # the client skipped the negotiation
        negotiated = self._negotiated.pop(request.query["id"], None)
        if negotiated is None or negotiated.hub != hub.lower() or negotiated.expires <= time.monotonic():
            raise web.HTTPNotFound(text="No Connection with that ID")
        return hub, negotiated.connection_id, negotiated.user

    async def _preflight(self, _request: web.Request) -> web.Response:
        return web.Response(
            status=204,
            headers={
                "Access-Control-Allow-Methods": "GET,POST,OPTIONS",
                "Access-Control-Allow-Headers": "authorization,content-type,x-requested-with,x-signalr-user-agent",
                "Access-Control-Max-Age": "600",
            },
        )

    async def _allow_local_pages(self, request: web.Request, response: web.StreamResponse) -> None:
        """CORS with credentials for pages of this machine, refusals included, so that a page can read them."""
        origin = request.headers.get("Origin", "")
        if request.path.startswith("/client") and _LOCAL_ORIGIN.fullmatch(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
            response.headers["Vary"] = "Origin"

    async def _say_goodbye(self, _app: web.Application) -> None:
        """On shutdown: a close record that lets every client come back to the next service on this address."""
        for connection in self._hubs.connections():
            connection.close(None, allow_reconnect=True)


def unauthorized(error: TokenError) -> web.HTTPUnauthorized:
    """401 as RFC 6750 wants it."""
    challenge = f'Bearer error="invalid_token", error_description="{error}"'
    return web.HTTPUnauthorized(text=str(error), headers={"WWW-Authenticate": challenge})


class _GoneError(Exception):
    """The client left, or was silent for too long."""


async def _receive(socket: web.WebSocketResponse, seconds: float) -> str:
    """The next text frame. Raises `_GoneError`."""
    try:
        message = await socket.receive(timeout=seconds)
    except TimeoutError:
        raise _GoneError from None
    if message.type is not WSMsgType.TEXT:
        raise _GoneError
    return str(message.data)


def _answer(connection: Connection, message: protocol.Message) -> None:
    """Answer what a listening client may send: pings and goodbyes; an invocation is refused."""
    if message.type == protocol.CLOSE:
        raise _GoneError
    if message.type in (protocol.INVOCATION, protocol.STREAM_INVOCATION):
        if message.invocation_id is None:
            raise protocol.ProtocolError(_ONLY_LISTEN)
        connection.send(protocol.completion_error(message.invocation_id, _ONLY_LISTEN))
