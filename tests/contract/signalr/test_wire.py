"""The wire below the real client: handshake, pings, silence, fan-out, and clients that do not read."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.contract.signalr.node import Node
from tests.contract.signalr.service import HUB, KEY, TARGET, Rest
from tests.services import running

END = "\x1e"
HANDSHAKE = json.dumps({"protocol": "json", "version": 1}) + END


class RawClient:
    """A WebSocket to the service, record by record."""

    def __init__(self, opened: aiohttp.ClientWebSocketResponse, connection_id: str | None) -> None:
        self.socket = opened
        self.id = connection_id
        self._records: list[dict[str, Any]] = []

    async def next(self) -> dict[str, Any]:
        """The next record; AssertionError when the service hangs up instead."""
        while not self._records:
            message = await self.socket.receive(timeout=10)
            assert message.type is aiohttp.WSMsgType.TEXT, message
            assert message.data.endswith(END)
            self._records = [json.loads(record) for record in message.data.split(END)[:-1]]
        return self._records.pop(0)

    async def remaining(self) -> list[dict[str, Any]]:
        """What still comes until the service hangs up."""
        records = self._records
        while (message := await self.socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
            records += [json.loads(record) for record in message.data.split(END)[:-1]]
        return records


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield session


async def negotiate(http: aiohttp.ClientSession, rest: Rest, user: str | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {rest.client_token(user)}"}
    async with http.post(
        f"{rest.url}/client/negotiate", params={"hub": HUB, "negotiateVersion": "1"}, headers=headers
    ) as answer:
        assert answer.status == 200
        body: dict[str, Any] = await answer.json()
        return body


async def raw(
    http: aiohttp.ClientSession,
    rest: Rest,
    user: str | None = None,
    *,
    first: str = HANDSHAKE,
) -> RawClient:
    """A client that negotiated, connected and sent `first`."""
    negotiated = await negotiate(http, rest, user)
    query = {"hub": HUB, "id": negotiated["connectionToken"], "access_token": rest.client_token(user)}
    opened = await http.ws_connect(f"{rest.url}/client/", params=query, max_msg_size=0)
    await opened.send_str(first)
    return RawClient(opened, negotiated["connectionId"])


async def test_negotiation_offers_text_over_websockets_and_a_secret_token(
    http: aiohttp.ClientSession, rest: Rest
) -> None:
    answer = await negotiate(http, rest)
    assert answer["negotiateVersion"] == 1
    assert answer["availableTransports"] == [{"transport": "WebSockets", "transferFormats": ["Text"]}]
    assert answer["connectionToken"] != answer["connectionId"]


async def test_version_0_of_the_negotiation_knows_the_connection_id_only(
    http: aiohttp.ClientSession, rest: Rest
) -> None:
    headers = {"Authorization": f"Bearer {rest.client_token()}"}
    async with http.post(f"{rest.url}/client/negotiate", params={"hub": HUB}, headers=headers) as answer:
        assert (await answer.json()).keys() == {"negotiateVersion", "connectionId", "availableTransports"}


async def test_a_connection_token_is_good_for_one_connection(http: aiohttp.ClientSession, rest: Rest) -> None:
    query = {
        "hub": HUB,
        "id": (await negotiate(http, rest))["connectionToken"],
        "access_token": rest.client_token(),
    }
    await http.ws_connect(f"{rest.url}/client/", params=query)
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(f"{rest.url}/client/", params=query)
    assert refused.value.status == 404


async def test_a_client_may_skip_the_negotiation(http: aiohttp.ClientSession, rest: Rest) -> None:
    query = {"hub": HUB, "access_token": rest.client_token("dave")}
    opened = await http.ws_connect(f"{rest.url}/client/", params=query)
    await opened.send_str(HANDSHAKE)
    client = RawClient(opened, None)
    assert await client.next() == {}
    assert rest.exists("/users/dave")


async def test_a_frame_may_carry_more_than_the_handshake(http: aiohttp.ClientSession, rest: Rest) -> None:
    calls = [json.dumps({"type": 1, "invocationId": i, "target": "x", "arguments": []}) + END for i in ("7", "8")]
    client = await raw(http, rest, first=HANDSHAKE + "".join(calls))
    assert await client.next() == {}
    assert [((await client.next())["type"], i) for i in ("7", "8")] == [(3, "7"), (3, "8")]


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ('{"protocol":"messagepack","version":1}', "The protocol 'messagepack' is not supported."),
        ('{"protocol":"json","version":9}', "does not support version 9"),
        ("hello", "no handshake request"),
    ],
)
async def test_a_handshake_that_cannot_be_met_is_refused(
    http: aiohttp.ClientSession, rest: Rest, first: str, error: str
) -> None:
    client = await raw(http, rest, first=first + END)
    assert error in (await client.next())["error"]
    assert await client.remaining() == []


async def test_a_record_that_is_no_message_ends_the_connection(http: aiohttp.ClientSession, rest: Rest) -> None:
    client = await raw(http, rest, first=HANDSHAKE + "{nonsense" + END)
    assert await client.next() == {}
    last = await client.next()
    assert (last["type"], last["allowReconnect"]) == (7, False)
    assert await client.remaining() == []


async def test_a_message_sent_right_after_the_handshake_is_not_missed(http: aiohttp.ClientSession, rest: Rest) -> None:
    for number in range(20):
        client = await raw(http, rest, "eve")
        assert await client.next() == {}
        rest.send(f"/connections/{client.id}", number)
        assert (await client.next())["arguments"] == [number]


async def test_pings_keep_an_idle_client_and_silence_loses_it(http: aiohttp.ClientSession, node: Node) -> None:
    with running("signalr", "--port", "0", "--ping-seconds", "0.2", env={"SIGNALR_KEY": KEY}) as service:
        rest = Rest(service.url)
        idle = node.start(
            rest.client_url,
            token=rest.client_token("idle"),
            keepAliveIntervalInMilliseconds=100,
            serverTimeoutInMilliseconds=700,
        )
        idle.connected()
        listener = await raw(http, rest)
        assert await listener.next() == {}
        for _ in range(5):  # a whole second: longer than the idle client goes without a sign of life
            assert await listener.next() == {"type": 6}
            await listener.socket.send_str('{"type":6}' + END)
        rest.send("/users/idle", "awake?")
        assert idle.received() == ["awake?"]
        assert idle.events["reconnecting"].empty()
        silent = await raw(http, rest)
        assert {record.get("type") for record in await silent.remaining()} <= {None, 6}
        assert not rest.exists(f"/connections/{silent.id}")
        rest.close()


async def test_fan_out_reaches_everybody_in_order(http: aiohttp.ClientSession, rest: Rest) -> None:
    clients = [await raw(http, rest) for _ in range(100)]
    for client in clients:
        assert await client.next() == {}

    async def read(client: RawClient) -> list[int]:
        return [(await client.next())["arguments"][0] for _ in range(30)]

    readers = [asyncio.create_task(read(client)) for client in clients]
    for number in range(30):
        await asyncio.to_thread(rest.send, "", number)
    assert await asyncio.gather(*readers) == [list(range(30))] * 100


async def test_what_queues_up_for_a_late_reader_keeps_its_order_and_shares_frames(rest: Rest) -> None:
    def small_window(address: aiohttp.AddrInfoType) -> socket.socket:
        made = socket.socket(*address[:3])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        return made

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(socket_factory=small_window)) as http:
        late = await raw(http, rest, "nina")
        assert await late.next() == {}
        for number in range(150):  # 3 MB that fill the socket, then a hundred that wait behind them
            await asyncio.to_thread(rest.send, "/users/nina", number, "x" * (60_000 if number < 50 else 10))
        numbers: list[int] = []
        frames = 0
        while len(numbers) < 150:
            frame = await late.socket.receive_str(timeout=10)
            numbers += [json.loads(record)["arguments"][0] for record in frame.split(END)[:-1]]
            frames += 1
        assert numbers == list(range(150))
        assert frames < 100


async def test_a_client_that_does_not_read_is_cut_off_and_holds_up_nobody(
    http: aiohttp.ClientSession, rest: Rest
) -> None:
    reader, slow = await raw(http, rest), await raw(http, rest)
    assert await reader.next() == {}
    assert await slow.next() == {}
    for sent in range(60):
        await asyncio.to_thread(rest.send, "", sent, "x" * 900_000)
        assert (await reader.next())["arguments"][0] == sent
        if not rest.exists(f"/connections/{slow.id}"):
            break
    assert not rest.exists(f"/connections/{slow.id}")
    assert rest.exists(f"/connections/{reader.id}")


async def test_a_generated_token_connects_its_user(http: aiohttp.ClientSession, rest: Rest) -> None:
    generated = rest.call("POST", f"/api/hubs/{HUB}/:generateToken", userId="frank", minutesToExpire=5).json()
    query = {"hub": HUB, "access_token": generated["token"]}
    client = RawClient(await http.ws_connect(f"{rest.url}/client/", params=query), None)
    await client.socket.send_str(HANDSHAKE)
    assert await client.next() == {}
    rest.send("/users/frank", "hi")
    assert await client.next() == {"type": 1, "target": TARGET, "arguments": ["hi"]}
