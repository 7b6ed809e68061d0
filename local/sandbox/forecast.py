"""Open-Meteo forecast: the current weather at one point (https://open-meteo.com/en/docs). `current` only."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from aiohttp import web

from local.sandbox.derive import fraction, whole
from local.sandbox.open_meteo import QueryError, refusal
from local.sandbox.places import ZONE_OFFSETS, nearest

_TEMPERATURE_UNITS = {"celsius": "°C", "fahrenheit": "°F"}
#: Each unit's label, and how many of it make one km/h.
_WIND_UNITS = {"kmh": ("km/h", 1.0), "ms": ("m/s", 1 / 3.6), "mph": ("mp/h", 0.621371), "kn": ("kn", 0.539957)}
_WMO_CODES = (0, 0, 1, 2, 3, 3, 45, 51, 61, 63, 80, 95)
_GRID_DEGREES = 0.125  # the live service answers for its grid cell, not for the very point
_INTERVAL = timedelta(minutes=15)
_VARIABLE_TYPE = "SurfacePressureAndHeightVariable<VariableAndPreviousDay, ForecastPressureVariable>"


@dataclass(frozen=True, slots=True)
class _Reading:
    unit: str
    value: float


def forecast(request: web.Request) -> web.Response:
    """`GET /v1/forecast`: the weather now, in the units and the time zone asked for."""
    try:
        return web.json_response(_forecast(request))
    except QueryError as error:
        return refusal(str(error))


def _forecast(request: web.Request) -> dict[str, object]:
    latitude = _coordinate(request, "latitude", 90)
    longitude = _coordinate(request, "longitude", 180)
    place = nearest(latitude, longitude)
    zone = request.query.get("timezone", "GMT")
    if zone == "auto":
        zone = place.timezone
    if zone not in ZONE_OFFSETS:
        raise QueryError("Invalid timezone")
    for kind in ("hourly", "daily", "minutely_15"):
        if kind in request.query:
            raise QueryError(f"The sandbox offers current weather only, not '{kind}'.")
    return {
        "latitude": latitude,
        "longitude": longitude,
        "generationtime_ms": 0.05,
        "utc_offset_seconds": ZONE_OFFSETS[zone],
        "timezone": zone,
        "timezone_abbreviation": _abbreviation(ZONE_OFFSETS[zone]),
        "elevation": place.elevation,
        **_current(request, latitude, longitude, ZONE_OFFSETS[zone]),
    }


def _current(request: web.Request, latitude: float, longitude: float, utc_offset: int) -> dict[str, object]:
    """The `current` and `current_units` objects, or nothing when `current` was not asked for."""
    temperature_unit = _choice(request, "temperature_unit", "TemperatureUnit", _TEMPERATURE_UNITS, "celsius")
    wind_unit = _choice(request, "wind_speed_unit", "WindspeedUnit", _WIND_UNITS, "kmh")
    names = [name for part in request.query.getall("current", []) for name in part.split(",") if name]
    if not names:
        return {}
    readings = _readings(latitude, longitude, temperature_unit, wind_unit)
    for name in names:
        if name not in readings:
            reason = f"Cannot initialize {_VARIABLE_TYPE} from invalid String value {name}."
            raise QueryError(f"Data corrupted at path ''. {reason}")
    now = datetime.now(UTC)
    now -= (now - datetime.min.replace(tzinfo=UTC)) % _INTERVAL
    return {
        "current_units": {"time": "iso8601", "interval": "seconds", **{name: readings[name].unit for name in names}},
        "current": {
            "time": (now + timedelta(seconds=utc_offset)).strftime("%Y-%m-%dT%H:%M"),
            "interval": int(_INTERVAL.total_seconds()),
            **{name: readings[name].value for name in names},
        },
    }


def _readings(latitude: float, longitude: float, temperature_unit: str, wind_unit: str) -> dict[str, _Reading]:
    """Weather that fits the latitude (30 °C at the equator, -15 °C at the poles, give or take 6) and never changes."""
    celsius = 30 - 45 * abs(latitude) / 90 + 12 * fraction("temperature", latitude, longitude) - 6
    wind = 40 * fraction("wind", latitude, longitude) ** 2
    code = _WMO_CODES[whole(0, len(_WMO_CODES) - 1, "sky", latitude, longitude)]
    wind_label, per_kmh = _WIND_UNITS[wind_unit]

    def temperature(degrees: float) -> _Reading:
        value = degrees * 1.8 + 32 if temperature_unit == "fahrenheit" else degrees
        return _Reading(_TEMPERATURE_UNITS[temperature_unit], round(value, 1))

    return {
        "temperature_2m": temperature(celsius),
        "relative_humidity_2m": _Reading("%", whole(25, 95, "humidity", latitude, longitude)),
        "apparent_temperature": temperature(celsius - wind / 12),
        "is_day": _Reading("", whole(0, 1, "day", latitude, longitude)),
        "precipitation": _Reading("mm", 0.4 if code >= 51 else 0.0),
        "weather_code": _Reading("wmo code", code),
        "cloud_cover": _Reading("%", min(code, 3) * 33),
        "wind_speed_10m": _Reading(wind_label, round(wind * per_kmh, 1)),
        "wind_direction_10m": _Reading("°", whole(0, 359, "direction", latitude, longitude)),
    }


def _coordinate(request: web.Request, name: str, limit: int) -> float:
    """One coordinate, moved to the middle of its grid cell."""
    text = request.query.get(name, "")
    if not text:
        raise QueryError("Parameter 'latitude' and 'longitude' must not be empty")
    try:
        value = float(text)
    except ValueError:
        raise QueryError(f"Value was not of type 'Float' for key '{name}'.") from None
    if not (math.isfinite(value) and abs(value) <= limit):
        raise QueryError(f"{name.capitalize()} must be in range of -{limit} to {limit}°. Given: {value}.")
    return round(value / _GRID_DEGREES) * _GRID_DEGREES


def _choice(request: web.Request, name: str, kind: str, known: Collection[str], default: str) -> str:
    value = request.query.get(name, default)
    if value not in known:
        raise QueryError(f"Data corrupted at path ''. Cannot initialize {kind} from invalid String value {value}.")
    return value


def _abbreviation(utc_offset: int) -> str:
    """`GMT`, `GMT-6`, `GMT+5:30`."""
    if utc_offset == 0:
        return "GMT"
    hours, minutes = divmod(abs(utc_offset) // 60, 60)
    return f"GMT{'-' if utc_offset < 0 else '+'}{hours}" + (f":{minutes:02}" if minutes else "")
