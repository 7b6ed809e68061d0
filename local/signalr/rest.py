"""The REST data plane: send, groups, existence and closing, in the shapes of `api/v1` and of `api/hubs?api-version=`.

Statuses as published: https://learn.microsoft.com/azure/azure-signalr/swagger/signalr-data-plane-rest-v1 and
.../signalr-data-plane-rest-v20220601.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus

import msgspec
from aiohttp import web

from local.signalr import protocol
from local.signalr.clients import HUB_NAME, unauthorized
from local.signalr.connection import Connection
from local.signalr.hub import Hub, Hubs
from local.signalr.tokens import TokenAuthority, TokenError

_V1 = "/api/v1/hubs/{hub}"
_CURRENT = "/api/hubs/{hub}"
_DEFAULT_TOKEN_MINUTES = 60
_MAX_GROUP_NAME = 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class RestApi:
    """The calls that a serverless application makes. All of them want a token for their very URL."""

    def __init__(self, hubs: Hubs, tokens: TokenAuthority) -> None:
        self._hubs = hubs
        self._tokens = tokens

    def add_to(self, app: web.Application) -> None:
        for path in ("/api/health", "/api/v1/health"):
            app.router.add_get(path, _health)
        for base, send in ((_V1, ""), (_CURRENT, "/:send")):
            for recipients in ("", "/users/{user}", "/groups/{group}", "/connections/{connection}"):
                self._route(app, "POST", f"{base}{recipients}{send}", self._send)
                if recipients:
                    self._route(app, "GET", f"{base}{recipients}", self._exists)
            self._route(app, "DELETE", f"{base}/connections/{{connection}}", self._close_one)
            self._route(app, "PUT", f"{base}/groups/{{group}}/connections/{{connection}}", self._connection_groups)
            self._route(app, "DELETE", f"{base}/groups/{{group}}/connections/{{connection}}", self._connection_groups)
            self._route(app, "DELETE", f"{base}/connections/{{connection}}/groups", self._leave_all)
            self._route(app, "DELETE", f"{base}/users/{{user}}/groups", self._remove_user_from_all)
        for path in (
            f"{_V1}/groups/{{group}}/users/{{user}}",
            *(f"{b}/users/{{user}}/groups/{{group}}" for b in (_V1, _CURRENT)),
        ):
            self._route(app, "GET", path, self._user_in_group)
            self._route(app, "PUT", path, self._add_user)
            self._route(app, "DELETE", path, self._remove_user)
        for recipients in ("", "/users/{user}", "/groups/{group}"):
            self._route(app, "POST", f"{_CURRENT}{recipients}/:closeConnections", self._close_many)
        self._route(app, "POST", f"{_CURRENT}/:generateToken", self._generate_token)

    def _route(self, app: web.Application, method: str, path: str, handler: Handler) -> None:
        """Guard `handler` by the token and by what every call must name; GET answers HEAD as well."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            self._authorize(request)
            if not HUB_NAME.fullmatch(request.match_info["hub"]):
                raise _bad_request("A hub name starts with a letter and goes on with letters, digits and underscores.")
            if not _is_v1(request) and "api-version" not in request.query:
                raise _bad_request("The query parameter api-version is missing.")
            if len(request.match_info.get("group", "")) > _MAX_GROUP_NAME:
                raise _bad_request(f"A group name has at most {_MAX_GROUP_NAME} characters.")
            return await handler(request)

        if method == "GET":
            app.router.add_get(path, guarded)
        else:
            app.router.add_route(method, path, guarded)

    def _authorize(self, request: web.Request) -> None:
        """The audience is the URL without its query, encoded as it was sent or not at all."""
        origin = f"{request.scheme}://{request.host}"
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            self._tokens.verify(token, origin + request.raw_path.partition("?")[0], origin + request.path)
        except TokenError as error:
            raise unauthorized(error) from error

    def _hub(self, request: web.Request) -> Hub:
        return self._hubs[request.match_info["hub"]]

    def _recipients(self, request: web.Request) -> list[Connection]:
        """Whom the path names: a user, a group, a connection or everybody, but for the `excluded` ones."""
        hub, named = self._hub(request), request.match_info
        found: Iterable[Connection]
        if "user" in named:
            found = hub.of_user(named["user"])
        elif "group" in named:
            found = hub.of_group(named["group"])
        elif "connection" in named:
            found = filter(None, [hub.connections.get(named["connection"])])
        else:
            found = hub.connections.values()
        excluded = request.query.getall("excluded", [])
        return [connection for connection in found if connection.id not in excluded]

    async def _send(self, request: web.Request) -> web.Response:
        try:
            sent = msgspec.json.decode(await request.read(), type=protocol.Invocation)
        except msgspec.DecodeError as error:
            raise _bad_request(f"The body must be {{target, arguments}}: {error}") from error
        record = protocol.invocation(sent)
        for connection in self._recipients(request):
            connection.send(record)
        return web.Response(status=HTTPStatus.ACCEPTED)

    async def _exists(self, request: web.Request) -> web.Response:
        return _found(bool(self._recipients(request)))

    async def _close_one(self, request: web.Request) -> web.Response:
        self._close(request)
        return web.Response(status=HTTPStatus.ACCEPTED if _is_v1(request) else HTTPStatus.OK)

    async def _close_many(self, request: web.Request) -> web.Response:
        self._close(request)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    def _close(self, request: web.Request) -> None:
        for connection in self._recipients(request):
            connection.close(request.query.get("reason"), allow_reconnect=True)

    async def _connection_groups(self, request: web.Request) -> web.Response:
        hub = self._hub(request)
        connection = hub.connections.get(request.match_info["connection"])
        if connection is None:
            return _found(False)
        change = hub.join if request.method == "PUT" else hub.leave
        change(connection, request.match_info["group"])
        return web.Response()

    async def _leave_all(self, request: web.Request) -> web.Response:
        for connection in self._recipients(request):
            self._hub(request).leave_all(connection)
        return web.Response()

    async def _user_in_group(self, request: web.Request) -> web.Response:
        return _found(self._hub(request).has_user(request.match_info["user"], request.match_info["group"]))

    async def _add_user(self, request: web.Request) -> web.Response:
        ttl = _whole_number(request, "ttl", minimum=0)
        self._hub(request).add_user(request.match_info["user"], request.match_info["group"], ttl)
        return web.Response(status=HTTPStatus.ACCEPTED if _is_v1(request) else HTTPStatus.OK)

    async def _remove_user(self, request: web.Request) -> web.Response:
        self._hub(request).remove_user(request.match_info["user"], request.match_info["group"])
        return web.Response(status=HTTPStatus.ACCEPTED if _is_v1(request) else HTTPStatus.NO_CONTENT)

    async def _remove_user_from_all(self, request: web.Request) -> web.Response:
        self._hub(request).remove_user_from_all(request.match_info["user"])
        return web.Response(status=HTTPStatus.OK if _is_v1(request) else HTTPStatus.NO_CONTENT)

    async def _generate_token(self, request: web.Request) -> web.Response:
        """A client token for this hub: query `userId`, `minutesToExpire` (60)."""
        minutes = _whole_number(request, "minutesToExpire", minimum=1) or _DEFAULT_TOKEN_MINUTES
        audience = f"{request.scheme}://{request.host}/client/?hub={request.match_info['hub']}"
        token = self._tokens.issue(audience, minutes * 60, request.query.get("userId"))
        return web.json_response({"token": token})


async def _health(_request: web.Request) -> web.Response:
    return web.Response()


def _is_v1(request: web.Request) -> bool:
    return request.path.startswith("/api/v1/")


def _found(found: bool) -> web.Response:
    return web.Response(status=HTTPStatus.OK if found else HTTPStatus.NOT_FOUND)


def _whole_number(request: web.Request, name: str, *, minimum: int) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and int(text) >= minimum):
        raise _bad_request(f"{name} must be a whole number from {minimum} up.")
    return int(text)


def _bad_request(message: str) -> web.HTTPBadRequest:
    """400 with the service's ErrorDetail."""
    body = msgspec.json.encode({"code": "BadRequest", "message": message})
    return web.HTTPBadRequest(body=body, content_type="application/json")
