"""What Open-Meteo's two services share: how they refuse, in the words of their public sources."""

from __future__ import annotations

from aiohttp import web

_LIMIT_REACHED = "Minutely API request limit exceeded. Please try again in one minute."


class QueryError(Exception):
    """The query cannot be answered; the message is the `reason` that the live service gives."""


def refusal(reason: str, status: int = 400) -> web.Response:
    """`{"error": true, "reason": ...}`, the one error shape of Open-Meteo."""
    return web.json_response({"error": True, "reason": reason}, status=status)


def failure(status: int) -> web.Response:
    """The answer to a request that fails on demand."""
    return refusal(_LIMIT_REACHED if status == 429 else "Something went wrong.", status)
