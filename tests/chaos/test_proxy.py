"""The fault proxy, in front of a small server, driven as a drill would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil
import pytest
import requests

from local.supervisor import ports
from tests.chaos.stack import Proxy


class QuietServer(ThreadingHTTPServer):
    """Says nothing of connections that the proxy cuts off, for that is what it is asked to do."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Echo(BaseHTTPRequestHandler):
    """Answers the Host header and the body, in chunks when the path says so, and remembers what it was asked."""

    protocol_version = "HTTP/1.1"
    asked: list[str] = []  # noqa: RUF012 - shared by all requests, on purpose

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.asked.append(self.path)
        answer = f"{self.headers['Host']} {len(body)}".encode()
        self.send_response(200)
        if self.path == "/chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(answer), answer))
        else:
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def service() -> Iterator[int]:
    server = QuietServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def proxied(protocol: str, service: int) -> Iterator[tuple[Proxy, int]]:
    places = ports.choose(["listen", "control"], {}, 0)
    proxy = Proxy(places["listen"], places["control"], service, protocol, seed=1)
    yield proxy, places["listen"]
    proxy.stop()


@pytest.fixture(scope="module")
def http(service: int) -> Iterator[tuple[Proxy, int]]:
    yield from proxied("http", service)


@pytest.fixture(scope="module")
def tcp(service: int) -> Iterator[tuple[Proxy, int]]:
    yield from proxied("tcp", service)


def post(port: int, path: str = "/", body: bytes = b"") -> requests.Response:
    return requests.post(f"http://127.0.0.1:{port}{path}", data=body, timeout=5)


@pytest.mark.parametrize("path", ["/", "/chunked"])
def test_without_rules_it_changes_nothing(http: tuple[Proxy, int], path: str) -> None:
    proxy, port = http
    proxy.rules()
    assert post(port, path, b"x" * 300_000).text == f"127.0.0.1:{port} 300000"


def test_it_answers_in_the_services_place_so_many_times(http: tuple[Proxy, int]) -> None:
    proxy, port = http
    headers = {"Retry-After": "7"}
    proxy.rules({"fault": "answer", "status": 429, "path": "^/some", "times": 2, "headers": headers, "body": "{}"})
    answers = [post(port, "/somewhere") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert (answers[0].headers["Retry-After"], answers[0].json()) == ("7", {})
    assert proxy.counts()["answer 429"] == 2


def test_a_rule_strikes_its_method_and_path_alone(http: tuple[Proxy, int]) -> None:
    proxy, port = http
    proxy.rules({"fault": "drop", "path": "^/other"}, {"fault": "drop", "method": "PUT"})
    assert post(port).ok


@pytest.mark.parametrize(("fault", "arrives"), [("lose_answer", True), ("drop", False)])
def test_the_connection_ends_in_place_of_an_answer(http: tuple[Proxy, int], fault: str, arrives: bool) -> None:
    proxy, port = http
    proxy.rules({"fault": fault, "times": 1})
    with pytest.raises(requests.ConnectionError):
        post(port, f"/{fault}")
    assert (f"/{fault}" in Echo.asked) is arrives


def test_a_share_is_about_that_share(http: tuple[Proxy, int]) -> None:
    proxy, port = http
    proxy.rules({"fault": "answer", "status": 503, "share": 0.3})
    struck = sum(post(port).status_code == 503 for _ in range(100))
    assert 15 <= struck <= 45


def test_a_delay(http: tuple[Proxy, int]) -> None:
    proxy, port = http
    proxy.rules({"fault": "delay", "seconds": 0.3, "times": 1})
    assert post(port).elapsed.total_seconds() >= 0.3


@pytest.mark.parametrize("rule", [{"fault": "nothing"}, {"fault": "drop", "path": "("}, {"fault": "drop", "shar": 1}])
def test_a_wrong_rule_is_refused_by_name(http: tuple[Proxy, int], rule: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match=r"nothing|regular expression|shar"):
        http[0].rules(rule)


def test_connections_are_dropped(tcp: tuple[Proxy, int]) -> None:
    proxy, port = tcp
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(1000)
        assert proxy.drop() == 1
        with pytest.raises(ConnectionResetError):
            list(iter(lambda: client.recv(1000), b""))  # behind what may still be left of the answer


def test_a_frozen_direction_stands_still_and_goes_on(tcp: tuple[Proxy, int]) -> None:
    proxy, port = tcp
    for direction in ("up", "down", "both"):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            proxy.mode(freeze=direction)
            client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.settimeout(0.2)
            with pytest.raises(TimeoutError):
                client.recv(100)
            proxy.mode()
            client.settimeout(5)
            assert client.recv(100)


def test_new_connections_are_refused(tcp: tuple[Proxy, int]) -> None:
    proxy, port = tcp
    proxy.mode(refuse=True)
    with pytest.raises(requests.ConnectionError):
        post(port)
    proxy.mode()
    assert post(port).ok


def test_it_is_small(http: tuple[Proxy, int]) -> None:
    assert psutil.Process(http[0].pid).memory_info().rss < 40 * 2**20
