"""Requests and responses, as the real host and worker convert them."""

from __future__ import annotations

import http.client
import re
import socket
from pathlib import Path

import pytest

from tests.contract.host.conftest import Http
from tests.contract.host.hosting import APPS, wait_for_log

pytestmark = pytest.mark.xdist_group("host-http")  # one process holds what the fixtures start


def test_request_reaches_the_function(http: Http) -> None:
    answer = http.call("PUT", "/api/echo?a=1&b=two%20words", data=b"body", headers={"X-One": "Value"}).json()
    assert answer["method"] == "PUT"
    assert answer["url"] == f"{http.service.url}/api/echo?a=1&b=two%20words"
    assert answer["params"] == {"a": "1", "b": "two words"}
    assert answer["headers"]["x-one"] == "Value"
    assert answer["body"] == "body"


def test_repeated_query_keys_are_joined_and_empty_ones_dropped(http: Http) -> None:
    assert http.get("/api/echo?a=1&a=2&b=&c").json()["params"] == {"a": "1,2"}


def test_repeated_headers_are_joined(http: Http) -> None:
    connection = http_client(http)
    connection.putrequest("GET", "/api/echo")
    connection.putheader("X-Many", "1")
    connection.putheader("x-many", "2")
    connection.endheaders()
    assert b'"x-many": "1,2"' in connection.getresponse().read()
    connection.close()


def test_a_chunked_body_reaches_the_function_empty(http: Http) -> None:
    assert http.call("POST", "/api/echo", data=iter([b"one", b"two"])).json()["body"] == ""
    wait_for_log(http.service, "chunked body of POST /api/echo is not passed")


def test_json_is_parsed_and_bad_json_is_an_error_of_the_function(http: Http) -> None:
    assert http.call("POST", "/api/json", data='{"a": [1]}').json() == {"a": [1]}
    assert http.call("POST", "/api/json", data="{").status_code == 500


def test_body_limit(http: Http) -> None:
    assert http.call("POST", "/api/echo", data=b"x" * 100_000).status_code == 200
    assert http.call("POST", "/api/echo", data=b"x" * 100_001).status_code == 413


def test_response_headers_and_charset(http: Http) -> None:
    answer = http.get("/api/response")
    assert answer.status_code == 207
    assert answer.content == "é".encode("latin-1")
    assert answer.headers["content-type"] == "text/html; charset=latin-1"
    assert answer.headers["x-twice"] == "2", "a repeated response header keeps its last value"
    assert answer.headers["server"] == "Kestrel", "the server's own headers win"
    assert answer.headers["content-length"] == "1"


@pytest.mark.parametrize(("code", "status"), [("404", 404), ("nonsense", 200), ("204", 204)])
def test_status_is_parsed_from_text(http: Http, code: str, status: int) -> None:
    assert http.get(f"/api/status?code={code}").status_code == status


def test_text_is_a_plain_response(http: Http) -> None:
    answer = http.get("/api/text")
    assert answer.content.decode() == "plain é"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["nothing", "mapping", "raw"])
def test_what_cannot_be_a_response_is_a_500_without_body(http: Http, path: str) -> None:
    answer = http.get(f"/api/{path}")
    assert (answer.status_code, answer.content) == (500, b"")


def test_response_by_output_parameter(http: Http) -> None:
    answer = http.get("/api/by_output")
    assert (answer.status_code, answer.text) == (202, "set")
    answer = http.get("/api/unset")
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("foo=bar", "foo=bar; domain=; path="),
        (
            "a=b; HttpOnly; Secure; SameSite=Lax; Path=/x; Domain=d.test; Max-Age=60",
            "a=b; max-age=60; domain=d.test; path=/x; secure; samesite=lax; httponly",
        ),
        (
            "a=b; Expires=Thu, 12 Jan 2017 13:55:08 GMT",
            "a=b; expires=Thu, 12 Jan 2017 13:55:08 GMT; domain=; path=",
        ),
        ("bad text", None),
    ],
)
def test_cookies_are_written_again(http: Http, given: str, written: str | None) -> None:
    assert http.get("/api/cookie", params={"set": given}).headers.get("set-cookie") == written


def test_two_cookies_stay_two(http: Http) -> None:
    connection = http_client(http)
    connection.request("GET", "/api/cookie?set=a=1|b=2")
    answer = connection.getresponse()
    assert answer.headers.get_all("set-cookie") == ["a=1; domain=; path=", "b=2; domain=; path="]
    connection.close()


def test_a_cookie_date_that_cannot_be_parsed_is_a_500_with_its_line(http: Http) -> None:
    assert http.get("/api/cookie", params={"set": "a=b; Expires=Dummy"}).status_code == 500
    wait_for_log(http.service, "Can not parse value Dummy of expires in the cookie due to invalid format.")


@pytest.mark.parametrize("path", ["raise/value", "raise/exit", "raise/cancelled", "raise_sync/exit", "raise_sync/stop"])
def test_whatever_a_function_raises_is_a_500_without_body(http: Http, path: str) -> None:
    answer = http.get(f"/api/{path}")
    assert (answer.status_code, answer.content) == (500, b"")
    assert http.get("/api/text").status_code == 200, "the host goes on"


def test_a_failure_has_one_clear_line(http: Http) -> None:
    http.get("/api/raise/value")
    (line, *_) = wait_for_log(http.service, "ValueError: no good")
    assert re.search(
        r"ERROR Function.fail \[(.{36})\]: Executed 'Functions.fail' \(Failed, Id=\1, Duration=\d+ms\) "
        r"ValueError: no good, at .*function_app.py:\d+ in fail",
        line,
    )


def test_context_and_log_lines_carry_the_invocation_id(http: Http) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = http.get("/api/context", headers={"traceparent": parent, "tracestate": "k=v"}).json()
    assert answer["function_name"] == "context"
    assert Path(answer["function_directory"]) == APPS / "http"
    assert answer["traceparent"].startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert answer["traceparent"] != parent, "the invocation is a span of its own"
    assert answer["tracestate"] == "k=v"
    assert answer["retry"] == [0, 0]
    identifier = answer["invocation_id"]
    wait_for_log(http.service, f"app [{identifier}]: said inside")
    wait_for_log(http.service, f"Executed 'Functions.context' (Succeeded, Id={identifier}, Duration=")


def test_a_trace_exists_without_the_client_sending_one(http: Http) -> None:
    traceparent = http.get("/api/context").json()["traceparent"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-00", traceparent)


def test_a_client_that_disconnects_does_not_stop_the_function(http: Http) -> None:
    with socket.create_connection(("127.0.0.1", http.service.port)) as client:
        client.sendall(b"GET /api/slow?seconds=0.3 HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for_log(http.service, "Executing 'Functions.slow'")
    wait_for_log(http.service, "slow ended")
    assert http.get("/api/text").status_code == 200


def test_disabled_function_is_not_found(http: Http) -> None:
    assert http.get("/api/disabled").status_code == 404
    assert wait_for_log(http.service, "Function 'Functions.switched_off' is disabled")


def test_cors_preflight_is_answered_before_the_function(http: Http) -> None:
    wanted = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-a, x-b"}
    answer = http.call("OPTIONS", "/api/echo", headers={"Origin": "http://ui.test", **wanted})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "http://ui.test"
    assert answer.headers["access-control-allow-methods"] == "PUT"
    assert answer.headers["access-control-allow-headers"] == "x-a, x-b"
    stranger = http.call("OPTIONS", "/api/echo", headers={"Origin": "http://other.test", **wanted})
    assert "access-control-allow-origin" not in stranger.headers


def test_cors_headers_on_answers(http: Http) -> None:
    answer = http.get("/api/text", headers={"Origin": "http://ui.test"})
    assert answer.headers["access-control-allow-origin"] == "http://ui.test"
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-origin" not in http.get("/api/text").headers


def test_home_page(http: Http) -> None:
    answer = http.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")


def http_client(http_: Http) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", http_.service.port, timeout=10)
