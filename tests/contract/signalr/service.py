"""The service as an application talks to it: tokens made by PyJWT, REST by requests, negotiation by a small server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import requests

KEY = "An0therAccessKeyOfFortyFourCharactersInAll0="
HUB = "jobs"
TARGET = "jobsChanged"


def token(audience: str, *, user: str | None = None, expires_in: float = 600, key: str = KEY, **claims: object) -> str:
    """A token as the application's SDK makes it."""
    now = int(time.time())
    identity = {} if user is None else {"nameid": user}
    return jwt.encode({"aud": audience, "iat": now, "exp": now + int(expires_in), **identity, **claims}, key, "HS256")


class Rest:
    """The REST data plane of the service at `url`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client_url = f"{url}/client/?hub={HUB}"
        self._session = requests.Session()

    def client_token(self, user: str | None = None) -> str:
        return token(self.client_url, user=user)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        """A call with a token for just its URL; `api-version` goes with every path that is not v1."""
        if not path.startswith("/api/v1/"):
            query.setdefault("api-version", "2022-11-01")
        prepared = self._session.prepare_request(requests.Request(method, self.url + path, params=query, json=body))
        assert prepared.url is not None
        prepared.headers["Authorization"] = f"Bearer {token(prepared.url.partition('?')[0])}"
        return self._session.send(prepared, timeout=10)

    def send(self, to: str, *arguments: Any, **query: Any) -> None:
        """Send below `/api/hubs/jobs`, `to` being empty or like `/users/alice`."""
        answer = self.call("POST", f"/api/hubs/{HUB}{to}/:send", {"target": TARGET, "arguments": arguments}, **query)
        assert answer.status_code == 202, answer.text

    def exists(self, path: str) -> bool:
        return self.call("HEAD", f"/api/hubs/{HUB}{path}").status_code == 200

    def close(self) -> None:
        self._session.close()


@contextmanager
def negotiating(rest: Rest) -> Iterator[str]:
    """An application's own `/negotiate`, which sends the client on to the service; yields its URL."""

    class Negotiate(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            user = parse_qs(urlsplit(self.path).query)["user"][0]
            body = json.dumps({"url": rest.client_url, "accessToken": rest.client_token(user)}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet: the suite speaks for itself."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Negotiate)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/api"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
