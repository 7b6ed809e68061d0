"""Pushes to browsers through Azure SignalR Service in serverless mode, over its REST API.

REST and token formats: "Azure SignalR Service REST API" and its v1 specification (learn.microsoft.com).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from shared.azure.connecting import credential
from shared.config import Connection
from shared.jobs.model import Job
from shared.service.ports import TransientError
from shared.service.tracing import background_task
from shared.service.view import job_view

if TYPE_CHECKING:
    from aiohttp import ClientSession

logger = logging.getLogger(__name__)

HUB = "jobs"
TARGET = "jobsChanged"
TOKEN_SECONDS = 3600
#: Between two pushes of one instance, in seconds: changes that come closer together share a message.
PUSH_INTERVAL = 0.05
#: A message holds at most so many changes, and so many may wait: a page that misses some reads the job again.
MAX_CHANGES = 200
MAX_WAITING = 5_000
#: While the service is away, the log says so this often, in seconds.
COMPLAINT_SECONDS = 60
_PUSH_TIMEOUT = 5
_SCOPE = "https://signalr.azure.com/.default"


class SignalRNotifier:
    """`Notifier` over the REST API. Changes gather while a push is under way; none of them is left out.

    When the service does not answer, the changes of that push are dropped; the log says so at once, then once a minute.
    """

    def __init__(self, connection: Connection) -> None:
        self._client_id = connection.client_id
        self._key = ""
        self._endpoint = connection.endpoint.rstrip("/")
        if not self._endpoint:
            self._endpoint, self._key = parse_connection_string(connection.connection_string)
        self._waiting: list[Job] = []
        self._dropped = 0
        self._quiet_until = 0.0
        self._pushing: asyncio.Task[None] | None = None
        self._session: ClientSession | None = None

    def publish(self, job: Job) -> None:
        """See Notifier."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(job)
        if self._pushing is None or self._pushing.done():
            self._pushing = background_task(self._push_all())

    async def negotiate(self) -> Mapping[str, str]:
        """See Notifier. The token's audience is the URL itself."""
        url = f"{self._endpoint}/client/?hub={HUB}"
        if self._key:
            return {"url": url, "accessToken": self._token(url)}
        address = f"{self._endpoint}/api/hubs/{HUB}/:generateToken?api-version=2022-11-01"
        body = await self._post(address, b"")
        return {"url": url, "accessToken": msgspec.json.decode(body, type=dict[str, str])["token"]}

    async def close(self) -> None:
        """Push what waits, then close the connections."""
        if self._pushing is not None:
            await asyncio.gather(self._pushing, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _push_all(self) -> None:
        while self._waiting:
            changes, self._waiting = self._waiting[:MAX_CHANGES], self._waiting[MAX_CHANGES:]
            message = {"target": TARGET, "arguments": [[job_view(job) for job in changes]]}
            try:
                await self._post(f"{self._endpoint}/api/v1/hubs/{HUB}", msgspec.json.encode(message))
                self._dropped = 0
            except TransientError as exc:
                self._dropped += len(changes)
                self._complain(exc)
            await asyncio.sleep(PUSH_INTERVAL)

    def _complain(self, exc: TransientError) -> None:
        now = time.monotonic()
        if now >= self._quiet_until:
            logger.warning("%d changes were not pushed to browsers: %s", self._dropped, exc)
            self._quiet_until = now + COMPLAINT_SECONDS

    async def _post(self, address: str, body: bytes) -> bytes:
        import aiohttp  # noqa: PLC0415 - only when there is something to push

        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PUSH_TIMEOUT))
        try:
            headers = {"Authorization": f"Bearer {await self._bearer(address)}", "Content-Type": "application/json"}
            async with self._session.post(address, data=body, headers=headers) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as exc:
            raise TransientError(f"SignalR cannot be reached: {type(exc).__name__} {exc}") from exc
        if answer.status >= 400:
            raise TransientError(f"SignalR answered {answer.status}: {text[:200].decode(errors='replace')}")
        return text

    async def _bearer(self, address: str) -> str:
        if self._key:
            return self._token(address.split("?", maxsplit=1)[0])
        from azure.core.exceptions import ClientAuthenticationError  # noqa: PLC0415 - only with an identity

        try:
            return (await credential(self._client_id).get_token(_SCOPE)).token
        except ClientAuthenticationError as exc:
            raise TransientError(f"no token for SignalR: {exc}") from exc

    def _token(self, audience: str) -> str:
        import jwt  # noqa: PLC0415 - only with a key, that is locally

        now = int(time.time())
        claims = {"aud": audience, "iat": now, "nbf": now - 300, "exp": now + TOKEN_SECONDS}
        return jwt.encode(claims, self._key, algorithm="HS256")


def parse_connection_string(text: str) -> tuple[str, str]:
    """Endpoint (with its port) and access key of `Endpoint=...;AccessKey=...;Port=...;Version=1.0;`."""
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    endpoint = parts.get("Endpoint", "").rstrip("/")
    port = parts.get("Port")
    return (f"{endpoint}:{port}" if port else endpoint), parts.get("AccessKey", "")
