"""The service in one piece: clients on `/client`, the application on `/api`."""

from __future__ import annotations

from aiohttp import web

from local.signalr.clients import ClientEndpoint
from local.signalr.hub import Hubs
from local.signalr.rest import RestApi
from local.signalr.tokens import TokenAuthority

#: The largest message that the service takes; a larger one is answered 413.
MAX_MESSAGE = 1 << 20


def build_app(access_key: str, ping_seconds: float) -> web.Application:
    """A service that knows nobody yet and keeps nothing between runs."""
    hubs, tokens = Hubs(), TokenAuthority(access_key)
    app = web.Application(client_max_size=MAX_MESSAGE)
    ClientEndpoint(hubs, tokens, ping_seconds).add_to(app)
    RestApi(hubs, tokens).add_to(app)
    return app
