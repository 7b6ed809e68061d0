"""Open-Meteo geocoding: places by name (https://open-meteo.com/en/docs/geocoding-api). JSON and English names only."""

from __future__ import annotations

import unicodedata

from aiohttp import web

from local.sandbox.derive import whole
from local.sandbox.open_meteo import refusal
from local.sandbox.places import PLACES, Place


def search(request: web.Request) -> web.Response:
    """`GET /v1/search`: the matching places, the most populous first; no match leaves `results` out."""
    query = request.query
    if "name" not in query:
        return refusal("Value of type 'String' required for key 'name'.")
    if query.get("format", "json") != "json":
        return refusal("The sandbox offers format=json only.")
    count = query.get("count", "10")
    if not (count.isascii() and count.isdigit()):
        return refusal("Value was not of type 'Int' for key 'count'.")
    if not 1 <= int(count) <= 100:
        return refusal("Parameter count must be between 1 and 100.")
    name, _, area = query["name"].partition(",")
    found = [
        place
        for place in PLACES
        if _has_name(place, name)
        and _lies_in(place, area)
        and place.country_code == query.get("countryCode", place.country_code)
    ]
    found.sort(key=lambda place: -place.population)
    results = {"results": [_describe(place) for place in found[: int(count)]]} if found else {}
    return web.json_response({**results, "generationtime_ms": 0.25})


def _fold(text: str) -> str:
    """Lower case without accents: `bogota` finds Bogotá."""
    decomposed = unicodedata.normalize("NFD", text.strip().casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _has_name(place: Place, asked: str) -> bool:
    """As the live service: fewer than two characters find nothing, two find that very name, more find prefixes."""
    asked, name = _fold(asked), _fold(place.name)
    return name.startswith(asked) if len(asked) > 2 else len(asked) == 2 and name == asked


def _lies_in(place: Place, area: str) -> bool:
    """`Paris, Texas`: what follows the comma names a region or a country; a single character is ignored."""
    area = _fold(area)
    return len(area) < 2 or area in (_fold(place.admin1), _fold(place.country))


def _describe(place: Place) -> dict[str, object]:
    identity = (place.name, place.admin1, place.country_code)
    return {
        "id": whole(100_000, 9_999_999, "place", *identity),
        "name": place.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "elevation": place.elevation,
        "feature_code": "PPL",
        "country_code": place.country_code,
        "admin1_id": whole(100_000, 9_999_999, "admin1", *identity),
        "timezone": place.timezone,
        "population": place.population,
        "country_id": whole(100_000, 9_999_999, "country", place.country_code),
        "country": place.country,
        "admin1": place.admin1,
    }
