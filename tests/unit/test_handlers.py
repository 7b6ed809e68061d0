"""The job types' own rules: which payloads they take and what they make of a provider's answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec
import pytest

from shared.errors import InvalidRequestError
from shared.handlers import exchange_rate, github_user, load_job_types, quote, weather
from shared.jobs import PermanentError, Setting
from shared.service.validation import convert

T = TypeVar("T")


class Answers:
    """A `JobContext` whose provider gives the prepared answers, one a call, and remembers what was asked."""

    job_id, attempt, idempotency_key = "id", 1, "id:1"

    def __init__(self, *answers: Any) -> None:
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self.percents: list[int] = []
        self.http = self
        self._answers = iter(answers)

    def get_json(
        self,
        url: str,
        type: type[T],  # noqa: A002 - as in Http
        *,
        params: Mapping[str, str | int | float] | None = None,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
        not_found: str | None = None,  # noqa: ARG002
    ) -> T:
        self.asked.append((url, params or {}))
        return msgspec.convert(next(self._answers), type)

    def setting(self, setting: Setting) -> str:
        return setting.default

    def remaining_seconds(self) -> float:
        return 60

    def progress(self, percent: int, message: str = "") -> None:  # noqa: ARG002
        self.percents.append(percent)


@pytest.mark.parametrize(
    ("job_type", "payload", "pointer"),
    [
        ("weather", {}, "/payload/city"),
        ("weather", {"city": ""}, "/payload/city"),
        ("weather", {"city": "x" * 101}, "/payload/city"),
        ("weather", {"city": "Austin", "country_code": "USA"}, "/payload/country_code"),
        ("weather", {"city": "Austin", "units": "kelvin"}, "/payload/units"),
        ("weather", {"city": "Austin", "unit": "metric"}, "/payload/unit"),
        ("quote", {"category": "no digits 1"}, "/payload/category"),
        ("exchange_rate", {"base": "EUR", "symbols": []}, "/payload/symbols"),
        ("exchange_rate", {"base": "EURO", "symbols": ["USD"]}, "/payload/base"),
        ("exchange_rate", {"base": "EUR", "symbols": ["USD", "x"]}, "/payload/symbols/1"),
        ("exchange_rate", {"base": "EUR", "symbols": ["USD"], "amount": 0}, "/payload/amount"),
        ("github_user", {"username": "-nobody"}, "/payload/username"),
        ("github_user", {"username": "a/b"}, "/payload/username"),
        ("github_user", {"username": "x" * 40}, "/payload/username"),
        ("test_task", {"sleep_seconds": -1}, "/payload/sleep_seconds"),
        ("test_task", {"fail_times": 1.5}, "/payload/fail_times"),
    ],
)
def test_a_wrong_payload_is_refused_at_its_field(job_type: str, payload: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        convert(payload, load_job_types().require(job_type).payload_type, at="/payload")
    assert [each for each, _ in caught.value.errors] == [pointer]


def test_a_wrong_unit_is_answered_with_the_allowed_ones() -> None:
    with pytest.raises(InvalidRequestError, match=r"'metrics' is not allowed\. Did you mean 'metric'\? Allowed: "):
        convert({"city": "Austin", "units": "metrics"}, weather.Weather, at="/payload")


PLACES = {
    "results": [
        {"name": "Austin", "latitude": 43.7, "longitude": -92.9, "country_code": "US", "country": "United States"},
        {"name": "Austin", "latitude": 50.2, "longitude": -97.9, "country_code": "CA", "country": "Canada"},
    ]
}
FORECAST = {
    "current": {
        "time": "2026-03-01T12:00",
        "temperature_2m": 20.5,
        "apparent_temperature": 19,
        "relative_humidity_2m": 40,
        "weather_code": 2,
        "wind_speed_10m": 11,
    },
    "current_units": {"temperature_2m": "C", "relative_humidity_2m": "%", "wind_speed_10m": "km/h"},
}


def test_weather_is_that_of_the_city_in_the_wanted_country() -> None:
    job = Answers(PLACES, FORECAST)
    report = weather.run(weather.Weather(city="Austin", country_code="ca", units="imperial"), job)
    assert (report.country, report.temperature, report.conditions) == ("Canada", 20.5, "partly cloudy")
    assert report.units == {"temperature": "C", "humidity": "%", "wind_speed": "km/h"}
    asked = job.asked[1][1]
    assert (asked["latitude"], asked["temperature_unit"], asked["wind_speed_unit"]) == (50.2, "fahrenheit", "mph")
    assert job.percents == [20, 50, 80]


@pytest.mark.parametrize(("places", "country"), [({}, None), (PLACES, "DE")])
def test_a_city_that_nobody_knows_is_never_tried_again(places: dict[str, Any], country: str | None) -> None:
    with pytest.raises(PermanentError, match="No city is known as Austin") as caught:
        weather.run(weather.Weather(city="Austin", country_code=country), Answers(places))
    assert caught.value.code == "unknown_city"


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "clear sky"), (3, "overcast"), (48, "fog"), (55, "drizzle"), (65, "rain"), (77, "snow"), (82, "rain showers")],
)
def test_a_weather_code_is_told_in_words(code: int, words: str) -> None:
    assert weather.describe(code) == words


def test_exchange_rates_give_the_base_as_one_and_convert() -> None:
    job = Answers({"base": "USD", "date": "2026-02-27", "rates": {"EUR": 0.9123}})
    wanted = exchange_rate.ExchangeRate(base="usd", symbols=["eur", "USD", "EUR"], amount=50)
    rates = exchange_rate.run(wanted, job)
    assert rates.rates == {"EUR": 0.9123, "USD": 1.0}
    assert rates.converted == {"EUR": 45.62, "USD": 50.0}
    assert job.asked[0][1] == {"base": "USD", "symbols": "EUR"}


def test_a_currency_without_a_rate_is_never_tried_again() -> None:
    job = Answers({"base": "USD", "date": "2026-02-27", "rates": {}})
    with pytest.raises(PermanentError, match="There is no rate for XXX"):
        exchange_rate.run(exchange_rate.ExchangeRate(base="USD", symbols=["XXX"]), job)


def test_a_quote_is_asked_for_by_category() -> None:
    job = Answers({"quote": "Begin.", "author": "Ada"}, {"quote": "End.", "author": "Bob"})
    assert quote.run(quote.Quote(category="Hope"), job).author == "Ada"
    assert quote.run(quote.Quote(), job).tags == []
    assert [params for _, params in job.asked] == [{"tags": "hope"}, {}]


def test_a_profile_may_lack_what_its_owner_left_out() -> None:
    required = {"login": "ada", "id": 1, "html_url": "u", "public_repos": 2, "followers": 3, "following": 4}
    job = Answers({**required, "created_at": "2020-01-01T00:00:00Z", "plan": "ignored"})
    assert github_user.run(github_user.GithubUser(username="ada"), job).name is None
    assert job.asked[0][0] == "https://api.github.com/users/ada"
