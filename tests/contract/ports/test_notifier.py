"""Pushes to browsers, heard by a WebSocket client that came by negotiate."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
import pytest

from shared.azure.signalr import SignalRNotifier
from shared.service.view import job_view
from tests.contract.ports import services
from tests.unit.examples import a_job

pytestmark = pytest.mark.xdist_group("ports")

#: Ends every message of the SignalR JSON protocol.
END = "\x1e"


class Listener:
    """A SignalR client of one hub, as far as it listens."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def changes(self, count: int) -> list[dict[str, Any]]:
        """The next jobs that were pushed, `count` at least."""
        jobs: list[dict[str, Any]] = []
        async with asyncio.timeout(10):
            while len(jobs) < count:
                for text in (await self._socket.receive_str()).split(END)[:-1]:
                    message = json.loads(text)
                    if message.get("type") == 1:
                        assert message["target"] == "jobsChanged"
                        (pushed,) = message["arguments"]
                        jobs += pushed
        return jobs


@asynccontextmanager
async def listening(notifier: SignalRNotifier) -> AsyncIterator[Listener]:
    where = await notifier.negotiate()
    token = where["accessToken"]
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{where['url']}&access_token={token}".replace("http", "ws", 1)) as socket,
    ):
        await socket.send_str('{"protocol":"json","version":1}' + END)
        assert await socket.receive_str(timeout=10) == "{}" + END
        yield Listener(socket)


async def test_a_change_is_pushed_as_the_api_answers_the_job(notifier: SignalRNotifier) -> None:
    job = a_job(message="\u2603")
    async with listening(notifier) as listener:
        notifier.publish(job)
        assert await listener.changes(1) == [json.loads(msgspec.json.encode(job_view(job)))]


async def test_no_change_of_many_is_left_out_and_their_order_is_kept(notifier: SignalRNotifier) -> None:
    async with listening(notifier) as listener:
        for number in range(450):
            notifier.publish(a_job(message=str(number)))
            if number % 100 == 0:
                await asyncio.sleep(0.02)
        pushed = await listener.changes(450)
    assert [job["message"] for job in pushed] == [str(number) for number in range(450)]


async def test_closing_pushes_what_still_waits(notifier: SignalRNotifier) -> None:
    async with listening(notifier) as listener:
        notifier.publish(a_job(message="last"))
        await notifier.close()
        assert [job["message"] for job in await listener.changes(1)] == ["last"]


async def test_a_service_that_is_away_neither_raises_nor_blocks(caplog: pytest.LogCaptureFixture) -> None:
    notifier = SignalRNotifier(services.signalr(services.nobodys_port()))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            notifier.publish(a_job())
        async with asyncio.timeout(10):
            await notifier.close()
    assert [record.message.split(":")[0] for record in caplog.records if record.name == "shared.azure.signalr"] == [
        "3 changes were not pushed to browsers"
    ]
