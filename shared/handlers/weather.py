"""Current weather of a city, from Open-Meteo (https://open-meteo.com/en/docs; keyless)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shared.jobs import JobContext, Payload, PermanentError, Setting, job_type

GEOCODING = Setting("DTQ_WEATHER_GEOCODING_URL", "https://geocoding-api.open-meteo.com")
FORECAST = Setting("DTQ_WEATHER_FORECAST_URL", "https://api.open-meteo.com")

CURRENT = "temperature_2m,apparent_temperature,relative_humidity_2m,weather_code,wind_speed_10m"


class Weather(Payload):
    """Which city's weather, in which units."""

    city: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    country_code: Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{2}$", description="ISO 3166-1 alpha-2")] | None = None
    units: Literal["metric", "imperial"] = "metric"


class Report(msgspec.Struct):
    """The weather now; `units` names the unit of each figure."""

    city: str
    country: str
    latitude: float
    longitude: float
    observed_at: str
    temperature: float
    feels_like: float
    humidity: float
    wind_speed: float
    conditions: str
    units: dict[str, str]


class _Place(msgspec.Struct):
    name: str
    latitude: float
    longitude: float
    country_code: str = ""
    country: str = ""


class _Places(msgspec.Struct):
    # The answer for an unknown city has no `results` at all.
    results: list[_Place] = []


class _Current(msgspec.Struct):
    time: str
    temperature_2m: float
    apparent_temperature: float
    relative_humidity_2m: float
    weather_code: int
    wind_speed_10m: float


class _Forecast(msgspec.Struct):
    current: _Current
    current_units: dict[str, str]


@job_type(
    "weather",
    description="The current weather of a city.",
    example={"city": "Austin", "country_code": "US", "units": "metric"},
    settings=(GEOCODING, FORECAST),
)
def run(payload: Weather, job: JobContext) -> Report:
    """Find the city, then read its weather."""
    job.progress(20, f"Looking up {payload.city}")
    places = job.http.get_json(
        f"{job.setting(GEOCODING)}/v1/search",
        _Places,
        params={"name": payload.city, "count": 10, "language": "en", "format": "json"},
    )
    place = _choose(places.results, payload)
    job.progress(50, f"Found {place.name}, {place.country}")
    imperial = payload.units == "imperial"
    forecast = job.http.get_json(
        f"{job.setting(FORECAST)}/v1/forecast",
        _Forecast,
        params={
            "latitude": place.latitude,
            "longitude": place.longitude,
            "current": CURRENT,
            "temperature_unit": "fahrenheit" if imperial else "celsius",
            "wind_speed_unit": "mph" if imperial else "kmh",
            "timezone": "auto",
        },
    )
    job.progress(80, "Reading the forecast")
    now, units = forecast.current, forecast.current_units
    return Report(
        city=place.name,
        country=place.country,
        latitude=place.latitude,
        longitude=place.longitude,
        observed_at=now.time,
        temperature=now.temperature_2m,
        feels_like=now.apparent_temperature,
        humidity=now.relative_humidity_2m,
        wind_speed=now.wind_speed_10m,
        conditions=describe(now.weather_code),
        units={
            "temperature": units.get("temperature_2m", ""),
            "humidity": units.get("relative_humidity_2m", ""),
            "wind_speed": units.get("wind_speed_10m", ""),
        },
    )


def _choose(places: list[_Place], payload: Weather) -> _Place:
    wanted = (payload.country_code or "").upper()
    for place in places:
        if not wanted or place.country_code.upper() == wanted:
            return place
    where = f"{payload.city}, {wanted}" if wanted else payload.city
    raise PermanentError(f"No city is known as {where}.", code="unknown_city")


#: WMO code table 4677 as Open-Meteo groups it; the highest key not above the code names the group.
_CONDITIONS = {
    0: "clear sky",
    1: "mainly clear",
    2: "partly cloudy",
    3: "overcast",
    45: "fog",
    51: "drizzle",
    56: "freezing drizzle",
    61: "rain",
    66: "freezing rain",
    71: "snow",
    80: "rain showers",
    85: "snow showers",
    95: "thunderstorm",
    96: "thunderstorm with hail",
}


def describe(weather_code: int) -> str:
    """The weather code in words."""
    return _CONDITIONS[max((code for code in _CONDITIONS if code <= weather_code), default=0)]
