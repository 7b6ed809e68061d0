"""The few calls of the HTTP API that the demo makes."""

from __future__ import annotations

from typing import Any

from aiohttp import ClientSession

_BASE = "/api/v1"


class Api:
    """Every call raises aiohttp's ClientResponseError for an answer that is no success."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session

    async def job_types(self) -> list[dict[str, Any]]:
        """Each job type: its name, an example payload, and more."""
        types: list[dict[str, Any]] = (await self._call("GET", "/job-types"))["job_types"]
        return types

    async def submit(self, job_type: str, payload: Any) -> str:
        """Submit a job; its id."""
        job = await self._call("POST", "/jobs", {"job_type": job_type, "payload": payload})
        return str(job["job_id"])

    async def job(self, job_id: str) -> dict[str, Any]:
        return await self._call("GET", f"/jobs/{job_id}")

    async def result(self, job_id: str) -> dict[str, Any]:
        """A finished job's result document: its result, attempts and timeline."""
        return await self._call("GET", f"/jobs/{job_id}/result")

    async def negotiate(self) -> dict[str, Any]:
        """Where and with what token to listen for changes: url and accessToken."""
        return await self._call("POST", "/realtime/negotiate")

    async def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        async with self._session.request(method, f"{_BASE}{path}", json=body, raise_for_status=True) as response:
            answer: dict[str, Any] = await response.json()
            return answer
