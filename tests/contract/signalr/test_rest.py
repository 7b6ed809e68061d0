"""The REST data plane: statuses of both shapes, refusals, tokens, CORS of the client endpoint."""

from __future__ import annotations

import time
from collections.abc import Callable

import jwt
import pytest
import requests

from tests.contract.signalr.conftest import Connect
from tests.contract.signalr.service import HUB, KEY, TARGET, Rest, token

V1, CURRENT = f"/api/v1/hubs/{HUB}", f"/api/hubs/{HUB}"
MESSAGE = {"target": TARGET, "arguments": ["x"]}


@pytest.mark.parametrize("path", ["/api/health", "/api/v1/health"])
def test_health_needs_no_token(rest: Rest, path: str) -> None:
    assert requests.get(rest.url + path, timeout=5).status_code == 200
    assert requests.head(rest.url + path, timeout=5).status_code == 200


@pytest.mark.parametrize("base", [V1, CURRENT])
def test_who_exists(connect: Connect, rest: Rest, base: str) -> None:
    client_id = connect("alice").connected()
    rest.call("PUT", f"{CURRENT}/groups/here/connections/{client_id}")
    for method in ("GET", "HEAD"):
        for path in ("/users/alice", "/groups/here", f"/connections/{client_id}"):
            assert rest.call(method, base + path).status_code == 200
        for path in ("/users/nobody", "/groups/empty", "/connections/none"):
            assert rest.call(method, base + path).status_code == 404


@pytest.mark.parametrize(
    ("base", "path", "put", "delete"),
    [
        (V1, "/groups/crew/users/gina", 202, 202),
        (V1, "/users/gina/groups/crew", 202, 202),
        (CURRENT, "/users/gina/groups/crew", 200, 204),
    ],
)
def test_a_user_in_a_group(rest: Rest, base: str, path: str, put: int, delete: int) -> None:
    assert rest.call("GET", base + path).status_code == 404
    assert rest.call("PUT", base + path, ttl=60).status_code == put
    assert rest.call("GET", base + path).status_code == 200
    assert rest.call("DELETE", base + path).status_code == delete
    assert rest.call("GET", base + path).status_code == 404


@pytest.mark.parametrize(("base", "status"), [(V1, 200), (CURRENT, 204)])
def test_a_user_leaves_every_group(connect: Connect, rest: Rest, base: str, status: int) -> None:
    client_id = connect("hugo").connected()
    rest.call("PUT", f"{CURRENT}/users/hugo/groups/one")
    rest.call("PUT", f"{CURRENT}/groups/two/connections/{client_id}")
    assert rest.call("DELETE", f"{base}/users/hugo/groups").status_code == status
    assert [rest.exists(path) for path in ("/users/hugo/groups/one", "/groups/one", "/groups/two")] == [False] * 3


@pytest.mark.parametrize("base", [V1, CURRENT])
def test_a_connection_in_groups(connect: Connect, rest: Rest, base: str) -> None:
    client_id = connect("ida").connected()
    for group in ("one", "two"):
        assert rest.call("PUT", f"{base}/groups/{group}/connections/{client_id}").status_code == 200
    assert rest.call("DELETE", f"{base}/groups/one/connections/{client_id}").status_code == 200
    assert [rest.exists(f"/groups/{group}") for group in ("one", "two")] == [False, True]
    assert rest.call("DELETE", f"{base}/connections/{client_id}/groups").status_code == 200
    assert not rest.exists("/groups/two")
    assert rest.call("PUT", f"{base}/groups/one/connections/none").status_code == 404


def test_a_user_s_time_in_a_group_runs_out(connect: Connect, rest: Rest) -> None:
    connect("jan").connected()
    rest.call("PUT", f"{CURRENT}/users/jan/groups/brief", ttl=1)
    assert rest.exists("/groups/brief")
    deadline = time.monotonic() + 5
    while rest.exists("/groups/brief"):
        assert time.monotonic() < deadline, "the user is still in the group"
    assert not rest.exists("/users/jan/groups/brief")


@pytest.mark.parametrize(("base", "status"), [(V1, 202), (CURRENT, 200)])
def test_closing_a_connection(connect: Connect, rest: Rest, base: str, status: int) -> None:
    client = connect("kim")
    assert rest.call("DELETE", f"{base}/connections/{client.connected()}").status_code == status
    client.next("reconnected")


@pytest.mark.parametrize("to", ["", "/groups/squad", "/users/lea"])
def test_closing_many_spares_the_excluded(connect: Connect, rest: Rest, to: str) -> None:
    spared, closed = connect("lea"), connect("lea")
    spared_id, closed_id = spared.connected(), closed.connected()
    for client_id in (spared_id, closed_id):
        rest.call("PUT", f"{CURRENT}/groups/squad/connections/{client_id}")
    assert rest.call("POST", f"{CURRENT}{to}/:closeConnections", excluded=spared_id).status_code == 204
    closed.next("reconnecting")
    rest.send(f"/connections/{spared_id}", "still here")
    assert spared.received() == ["still here"]


def test_accepted_does_not_mean_delivered(rest: Rest) -> None:
    assert rest.call("POST", f"{V1}/users/nobody", MESSAGE).status_code == 202


@pytest.mark.parametrize(
    ("method", "path", "body", "says"),
    [
        ("POST", V1, {"arguments": []}, "target"),
        ("POST", V1, [1], "target"),
        ("POST", "/api/v1/hubs/7up", MESSAGE, "hub name"),
        ("PUT", f"{V1}/users/alice/groups/{'g' * 1025}", None, "1024"),
        ("PUT", f"{V1}/users/alice/groups/g?ttl=soon", None, "ttl"),
        ("POST", f"{CURRENT}/:generateToken?minutesToExpire=0", None, "minutesToExpire"),
        ("POST", f"{CURRENT}/:send?api-version", MESSAGE, "api-version"),
    ],
)
def test_bad_requests_say_what_is_wrong(rest: Rest, method: str, path: str, body: object, says: str) -> None:
    path, _, query = path.partition("?")
    name, _, value = query.partition("=")
    answer = rest.call(method, path, body, **({name: value or None} if name else {}))
    assert answer.status_code == 400
    assert answer.json()["code"] == "BadRequest"
    assert says in answer.json()["message"]


def test_more_than_a_mebibyte_is_too_large(rest: Rest) -> None:
    assert rest.call("POST", V1, {"target": TARGET, "arguments": ["x" * (1 << 20)]}).status_code == 413


def test_unknown_paths_are_not_found(rest: Rest) -> None:
    assert rest.call("POST", f"{V1}/planets/mars", MESSAGE).status_code == 404


BAD_TOKENS: dict[str, tuple[Callable[[str], str], str]] = {
    "expired": (lambda audience: token(audience, expires_in=-60), "expired"),
    "not yet valid": (lambda audience: token(audience, nbf=int(time.time()) + 600), "not valid yet"),
    "other audience": (lambda audience: token(audience + "x"), "audience"),
    "other key": (lambda audience: token(audience, key=KEY[::-1]), "signature"),
    "no signature": (lambda audience: jwt.encode({"aud": audience, "exp": 4e9}, "", "none"), "HS256"),
    "other algorithm": (lambda audience: jwt.encode({"aud": audience, "exp": 4e9}, KEY * 2, "HS512"), "HS256"),
    "no expiry": (lambda audience: jwt.encode({"aud": audience}, KEY, "HS256"), "aud and exp"),
    "not a token": (lambda _: "abc", "JSON Web Token"),
    "not ASCII": (lambda _: "a.b.\u00e4", "JSON Web Token"),
    "nothing": (lambda _: "", "JSON Web Token"),
}


@pytest.mark.parametrize("which", list(BAD_TOKENS))
@pytest.mark.parametrize(
    ("path", "audience"),
    [
        (V1, V1),
        (f"{CURRENT}/:send?api-version=2022-11-01", f"{CURRENT}/:send"),
        ("/client/negotiate?hub=jobs", "/client/?hub=jobs"),
    ],
    ids=["v1", "2022-11-01", "negotiate"],
)
def test_bad_tokens_are_401(rest: Rest, which: str, path: str, audience: str) -> None:
    make, why = BAD_TOKENS[which]
    bearer = f"Bearer {make(rest.url + audience)}".encode()
    answer = requests.post(rest.url + path, json=MESSAGE, headers={"Authorization": bearer}, timeout=5)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')
    assert why in answer.headers["WWW-Authenticate"]


def test_an_audience_list_in_another_case_is_good(rest: Rest) -> None:
    bearer = jwt.encode({"aud": ["http://elsewhere/", rest.url.upper() + V1], "exp": 4e9}, KEY, "HS256")
    answer = requests.post(rest.url + V1, json=MESSAGE, headers={"Authorization": f"Bearer {bearer}"}, timeout=5)
    assert answer.status_code == 202


def test_a_generated_token_is_one_that_pyjwt_accepts(rest: Rest) -> None:
    generated = rest.call("POST", f"{CURRENT}/:generateToken", userId="mia", minutesToExpire=5).json()["token"]
    claims = jwt.decode(generated, KEY, ["HS256"], audience=rest.client_url)
    assert claims["nameid"] == "mia"
    assert claims["exp"] - claims["iat"] == 300


@pytest.mark.parametrize("origin", ["http://localhost:5173", "http://127.0.0.1:7071", "https://localhost"])
def test_pages_of_this_machine_may_negotiate(rest: Rest, origin: str) -> None:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,x-requested-with,x-signalr-user-agent",
    }
    url = f"{rest.url}/client/negotiate?hub={HUB}&negotiateVersion=1"
    preflight = requests.options(url, headers=asked, timeout=5)
    assert preflight.ok
    allowed = preflight.headers["Access-Control-Allow-Headers"].split(",")
    assert {"authorization", "x-requested-with", "x-signalr-user-agent"} <= set(allowed)
    bearer = {"Origin": origin, "Authorization": f"Bearer {rest.client_token()}"}
    negotiated = requests.post(url, headers=bearer, timeout=5)
    refused = requests.post(url, headers={"Origin": origin}, timeout=5)
    assert (negotiated.status_code, refused.status_code) == (200, 401)
    for answer in (preflight, negotiated, refused):
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", ["https://example.com", "http://localhost.example.com", "null"])
def test_pages_of_other_machines_may_not(rest: Rest, origin: str) -> None:
    answer = requests.options(f"{rest.url}/client/negotiate?hub={HUB}", headers={"Origin": origin}, timeout=5)
    assert "Access-Control-Allow-Origin" not in answer.headers
