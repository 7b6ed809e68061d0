"""Cross-origin requests, as Host.CORS of local.settings.json allows them; answered before any function."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True, slots=True)
class Cors:
    """The allowed origins; `*` allows all. Every method and header is allowed, as Core Tools allows them."""

    origins: tuple[str, ...] = ()
    credentials: bool = False

    def preflight(self, request: web.BaseRequest) -> web.Response | None:
        """The answer to a preflight request; None when `request` is none or no origin is allowed at all."""
        wanted = request.headers.get("Access-Control-Request-Method")
        if not self.origins or request.method != "OPTIONS" or wanted is None or "Origin" not in request.headers:
            return None
        response = web.Response(status=204)
        if self.apply(request, response):
            response.headers["Access-Control-Allow-Methods"] = wanted
            headers = request.headers.get("Access-Control-Request-Headers")
            if headers:
                response.headers["Access-Control-Allow-Headers"] = headers
        return response

    def apply(self, request: web.BaseRequest, response: web.StreamResponse) -> bool:
        """Add the headers that let the calling page read `response`; whether its origin is allowed."""
        origin = request.headers.get("Origin")
        if origin is None or not ("*" in self.origins or origin in self.origins):
            return False
        if "*" in self.origins and not self.credentials:
            response.headers["Access-Control-Allow-Origin"] = "*"
        else:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Vary"] = "Origin"
        if self.credentials:
            response.headers["Access-Control-Allow-Credentials"] = "true"
        return True
