"""The sandbox's HTTP face: every provider below its prefix, with faults on demand, and the control calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from local.sandbox import forecast, frankfurter, geocoding, github, open_meteo, quotes
from local.sandbox.faults import Failure, Faults, Settings

Answer = Callable[[web.Request], web.Response]


@dataclass(slots=True)
class Provider:
    """One public API: where it answers, how it answers, and how it looks when it fails."""

    path: str
    answer: Answer
    failure: Callable[[int], web.Response]
    faults: Faults = field(default_factory=Faults)


def build_app() -> web.Application:
    """The sandbox with every provider healthy."""
    providers = {
        "geocoding": Provider("/v1/search", geocoding.search, open_meteo.failure),
        "forecast": Provider("/v1/forecast", forecast.forecast, open_meteo.failure),
        "quotes": Provider("/api/quotes/random", quotes.random_quote, quotes.failure),
        "frankfurter": Provider("/v1/latest", frankfurter.latest, frankfurter.failure),
        "github": Provider("/users/{username}", github.user, github.failure),
    }
    app = web.Application()
    for name, provider in providers.items():
        app.router.add_route("*", f"/{name}{provider.path}", _answering(provider))
    _add_control(app, providers)
    return app


def _answering(provider: Provider) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        settings = provider.faults.settings
        failure = provider.faults.count_request()
        if settings.delay_seconds:
            await asyncio.sleep(settings.delay_seconds)
        if failure is Failure.DOWN:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)  # nobody is left to read it
        if failure is Failure.STATUS:
            response = provider.failure(settings.status or 503)
            if settings.retry_after is not None:
                response.headers["Retry-After"] = str(settings.retry_after)
            return response
        response = provider.answer(request)
        if failure is Failure.MALFORMED and response.text:
            return web.Response(text=response.text[: len(response.text) // 2], content_type="application/json")
        return response

    return handle


def _add_control(app: web.Application, providers: dict[str, Provider]) -> None:
    def faults(request: web.Request) -> Faults:
        name = request.match_info["provider"]
        if name not in providers:
            known = ", ".join(providers)
            raise web.HTTPNotFound(text=f"There is no provider {name!r}; the sandbox has {known}.\n")
        return providers[name].faults

    async def show(request: web.Request) -> web.Response:
        return web.json_response(faults(request).report())

    async def replace(request: web.Request) -> web.Response:
        chosen = faults(request)
        try:
            chosen.apply(msgspec.json.decode(await request.read(), type=Settings))
        except msgspec.DecodeError as error:  # ValidationError is one of them
            return web.json_response({"error": str(error)}, status=422)
        return web.json_response(chosen.report())

    async def reset(_request: web.Request) -> web.Response:
        for provider in providers.values():
            provider.faults.reset()
        return web.Response(status=204)

    app.router.add_get("/_control/{provider}", show)
    app.router.add_put("/_control/{provider}", replace)
    app.router.add_delete("/_control", reset)
