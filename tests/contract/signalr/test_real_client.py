"""The real @microsoft/signalr client: delivery, order, groups, refusals, reconnecting."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.contract.signalr.conftest import Connect
from tests.contract.signalr.node import Node
from tests.contract.signalr.service import HUB, KEY, TARGET, Rest, negotiating, token
from tests.services import Service, running, start_service


@pytest.mark.parametrize(
    "path",
    [f"/api/v1/hubs/{HUB}{{to}}", f"/api/hubs/{HUB}{{to}}/:send", f"/api/v1/hubs/{HUB.upper()}{{to}}"],
    ids=["v1", "2022-11-01", "hub-in-other-case"],
)
def test_everybody_a_user_a_group_and_a_connection_are_reached(connect: Connect, rest: Rest, path: str) -> None:
    alice, bob = connect("alice"), connect("bob")
    alice_id = alice.connected()
    bob_id = bob.connected()
    assert rest.call("PUT", f"/api/v1/hubs/{HUB}/groups/team/connections/{bob_id}").status_code == 200

    def send(to: str, text: str, **query: str) -> None:
        body = {"target": TARGET, "arguments": [text, {"progress": 20}]}
        assert rest.call("POST", path.format(to=to), body, **query).status_code == 202

    send("", "all")
    send("/users/alice", "user")
    send("/groups/team", "group")
    send(f"/connections/{alice_id}", "connection")
    send("", "not bob", excluded=bob_id)
    send("", "end")
    assert [alice.received()[0] for _ in range(5)] == ["all", "user", "connection", "not bob", "end"]
    assert [bob.received() for _ in range(3)] == [[text, {"progress": 20}] for text in ("all", "group", "end")]


def test_all_of_a_user_s_tabs_are_reached(connect: Connect, rest: Rest) -> None:
    tabs = [connect("alice"), connect("alice")]
    ids = {tab.connected() for tab in tabs}
    assert len(ids) == 2
    rest.send("/users/alice", "hello")
    assert [tab.received() for tab in tabs] == [["hello"], ["hello"]]


def test_a_thousand_messages_arrive_once_and_in_order(connect: Connect, rest: Rest) -> None:
    client = connect("alice")
    client.connected()
    for number in range(1000):
        rest.send("/users/alice", number)
    assert [client.received()[0] for _ in range(1000)] == list(range(1000))


def test_odd_names_and_text_survive(connect: Connect, rest: Rest) -> None:
    client = connect("a%20b%2Fc%C3%A9")  # the user `a b/cé`
    client.connected()
    rest.send("/users/a%20b%2Fc%C3%A9", "späße \x1e \u2028 🚀", [None, True, 1.5])
    assert client.received() == ["späße \x1e \u2028 🚀", [None, True, 1.5]]


def test_a_message_just_below_the_limit_arrives(connect: Connect, rest: Rest) -> None:
    client = connect("alice")
    client.connected()
    rest.send("/users/alice", "x" * 1_000_000)
    assert len(client.received()[0]) == 1_000_000


def test_a_user_s_groups_await_its_next_connection(connect: Connect, rest: Rest) -> None:
    assert rest.call("PUT", f"/api/hubs/{HUB}/users/carol/groups/job-1").status_code == 200
    assert rest.call("PUT", f"/api/hubs/{HUB}/users/carol/groups/job-2", ttl=0).status_code == 200
    client = connect("carol")
    client.connected()
    rest.send("/groups/job-2", "nobody is there")
    rest.send("/groups/job-1", "first")
    assert client.received() == ["first"]
    assert rest.call("DELETE", f"/api/hubs/{HUB}/users/carol/groups/job-1").status_code == 204
    rest.send("/groups/job-1", "too late")
    rest.send("/users/carol", "last")
    assert client.received() == ["last"]


def test_an_invocation_is_answered_with_an_error_and_the_client_stays(connect: Connect, rest: Rest) -> None:
    client = connect("alice")
    client.connected()
    client.invoke("submit", 1)
    assert "only listen" in client.next("failed")["error"]
    rest.send("/users/alice", "still here")
    assert client.received() == ["still here"]


def test_a_client_that_sends_is_disconnected(connect: Connect) -> None:
    client = connect("alice")
    client.connected()
    client.send("shout", 1)
    assert "only listen" in client.next("closed")["error"]


@pytest.mark.parametrize("call", ["DELETE /connections/{id}", "POST /users/alice/:closeConnections"])
def test_a_connection_closed_by_the_application_says_why_and_comes_back(
    connect: Connect, rest: Rest, call: str
) -> None:
    client = connect("alice")
    old = client.connected()
    method, path = call.format(id=old).split()
    assert rest.call(method, f"/api/hubs/{HUB}{path}", reason="tidying up").ok
    assert "tidying up" in client.next("reconnecting")["error"]
    assert client.next("reconnected")["id"] != old
    assert not rest.exists(f"/connections/{old}")
    rest.send("/users/alice", "again")
    assert client.received() == ["again"]


@pytest.mark.parametrize("expires_in", [600, -60], ids=["other-audience", "expired"])
def test_a_client_with_a_bad_token_is_refused(node: Node, rest: Rest, expires_in: float) -> None:
    audience = rest.client_url if expires_in < 0 else rest.client_url + "2"
    client = node.start(rest.client_url, token=token(audience, expires_in=expires_in))
    assert "401" in client.next("refused")["error"]


@pytest.fixture
def own_service() -> Iterator[Service]:
    """A service that a test may stop or kill."""
    with running("signalr", "--port", "0", env={"SIGNALR_KEY": KEY}) as service:
        yield service


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_clients_come_back_to_a_service_that_was_restarted(
    node: Node, own_service: Service, how: signal.Signals
) -> None:
    rest = Rest(own_service.url)
    with negotiating(rest) as url:
        client = node.start(f"{url}?user=alice")
        client.connected()
        rest.send("/users/alice", "before")
        assert client.received() == ["before"]
        status = own_service.stop(how, timeout=5)
        lost = client.next("reconnecting")
        if how is signal.SIGTERM:
            assert status == 0
            assert lost["error"] is None  # a close record that allows to reconnect is no error
        again = start_service("signalr", "--port", str(own_service.port), env={"SIGNALR_KEY": KEY})
        try:
            client.next("reconnected")
            rest.send("/users/alice", "after")
            assert client.received() == ["after"]
        finally:
            rest.close()
            again.stop()
