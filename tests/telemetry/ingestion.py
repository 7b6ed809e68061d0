"""A stand-in for Application Insights' ingestion: takes envelopes by the Breeze protocol and keeps them.

`POST /v2.1/track` with a JSON list of envelopes, or one a line, plain or gzip; the answer counts them.
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

INSTRUMENTATION_KEY = "00000000-1111-2222-3333-444444444444"
Envelope = dict[str, Any]


class Ingestion:
    """The endpoint on a free port, for the length of a `with` block. `hold` keeps every answer back until `release`."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.authorizations: set[str] = set()
        self.requests = 0
        self._arrived = threading.Condition()
        self._may_answer = threading.Event()
        self._may_answer.set()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> Ingestion:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()

    @property
    def connection_string(self) -> str:
        """As Azure shows it, the slash at the end included."""
        return (
            f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint=http://127.0.0.1:{self._server.server_port}/"
        )

    def hold(self) -> None:
        self._may_answer.clear()

    def release(self) -> None:
        self._may_answer.set()

    def of(self, base_type: str) -> list[Envelope]:
        """The envelopes with this kind of data."""
        with self._arrived:
            return [each for each in self.envelopes if each["data"]["baseType"] == base_type]

    def wait_for(self, reached: Callable[[], bool], what: str, seconds: float = 20) -> None:
        """Return once `reached`, which is asked after every delivery. Raises AssertionError."""
        with self._arrived:
            arrived = self._arrived.wait_for(reached, seconds)
        assert arrived, f"no {what} within {seconds} s; there are {[summary(each) for each in self.envelopes]}"

    def take(self, body: bytes, authorization: str) -> int:
        text = body.decode()
        envelopes = json.loads(text) if text.startswith("[") else [json.loads(line) for line in text.splitlines()]
        with self._arrived:
            self.requests += 1
            self.envelopes += envelopes
            self.authorizations.add(authorization)
            self._arrived.notify_all()
        return len(envelopes)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        ingestion = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path != "/v2.1/track":
                    self.send_error(404)
                    return
                taken = ingestion.take(body, self.headers.get("authorization", ""))
                ingestion._may_answer.wait(60)
                answer = json.dumps({"itemsReceived": taken, "itemsAccepted": taken, "errors": []}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def summary(envelope: Envelope) -> str:
    """What an envelope is, for a failed test's text."""
    data = envelope["data"]["baseData"]
    return f"{envelope['data']['baseType']} {data.get('name') or data.get('message') or data.get('metrics')}"
