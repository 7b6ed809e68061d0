"""What the four public APIs answer, in their own shapes and errors."""

from __future__ import annotations

from datetime import date, datetime

import pytest
import requests

from tests.contract.sandbox.client import Sandbox


class TestGeocoding:
    @pytest.mark.parametrize(
        ("name", "country", "timezone"),
        [
            ("Austin", "US", "America/Chicago"),
            ("Paris", "FR", "Europe/Paris"),
            ("tokyo", "JP", "Asia/Tokyo"),
            ("São Paulo", "BR", "America/Sao_Paulo"),
            ("bogota", "CO", "America/Bogota"),
        ],
    )
    def test_known_city(self, sandbox: Sandbox, name: str, country: str, timezone: str) -> None:
        first = sandbox.get("/geocoding/v1/search", name=name, count=5, language="en", format="json").json()["results"][
            0
        ]
        assert (first["country_code"], first["timezone"]) == (country, timezone)
        assert isinstance(first["id"], int)
        assert isinstance(first["population"], int)
        assert -90 <= first["latitude"] <= 90
        assert {"name", "longitude", "elevation", "country", "admin1", "feature_code"} <= first.keys()

    def test_the_larger_namesake_comes_first_and_the_country_chooses(self, sandbox: Sandbox) -> None:
        found = sandbox.get("/geocoding/v1/search", name="Paris").json()["results"]
        assert [place["country_code"] for place in found] == ["FR", "US"]
        assert len(sandbox.get("/geocoding/v1/search", name="Paris", count=1).json()["results"]) == 1
        texan = sandbox.get("/geocoding/v1/search", name="Paris", countryCode="US").json()["results"]
        assert [place["admin1"] for place in texan] == ["Texas"]
        assert sandbox.get("/geocoding/v1/search", name="Paris, Texas").json()["results"] == texan

    @pytest.mark.parametrize("name", ["Nowhereville", "P", "", "Pa"])
    def test_no_match_has_no_results(self, sandbox: Sandbox, name: str) -> None:
        answer = sandbox.get("/geocoding/v1/search", name=name)
        assert answer.status_code == 200
        assert "results" not in answer.json()

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ({}, "name"),
            ({"name": "Austin", "count": 0}, "between 1 and 100"),
            ({"name": "Austin", "count": 101}, "between 1 and 100"),
            ({"name": "Austin", "count": "many"}, "count"),
            ({"name": "Austin", "format": "protobuf"}, "json"),
        ],
    )
    def test_refusals(self, sandbox: Sandbox, query: dict[str, object], reason: str) -> None:
        answer = sandbox.get("/geocoding/v1/search", **query)
        assert answer.status_code == 400
        assert answer.json()["error"] is True
        assert reason in answer.json()["reason"]


AUSTIN = {"latitude": 30.26715, "longitude": -97.74306}
VARIABLES = "temperature_2m,relative_humidity_2m,apparent_temperature,weather_code,wind_speed_10m"


class TestForecast:
    def test_current_weather(self, sandbox: Sandbox) -> None:
        body = sandbox.get("/forecast/v1/forecast", **AUSTIN, current=VARIABLES, timezone="auto").json()
        assert body["timezone"] == "America/Chicago"
        assert body["utc_offset_seconds"] == -6 * 3600
        assert abs(body["latitude"] - AUSTIN["latitude"]) < 0.1
        assert body["current_units"] == {
            "time": "iso8601",
            "interval": "seconds",
            "temperature_2m": "°C",
            "relative_humidity_2m": "%",
            "apparent_temperature": "°C",
            "weather_code": "wmo code",
            "wind_speed_10m": "km/h",
        }
        current = body["current"]
        assert list(current) == ["time", "interval", *VARIABLES.split(",")]
        assert datetime.fromisoformat(current["time"]).minute % 15 == 0
        assert -60 < current["temperature_2m"] < 60

    def test_same_place_same_weather(self, sandbox: Sandbox) -> None:
        def ask(**point: float) -> object:
            return sandbox.get("/forecast/v1/forecast", **point, current="temperature_2m").json()["current"][
                "temperature_2m"
            ]

        assert ask(**AUSTIN) == ask(**AUSTIN)
        assert ask(**AUSTIN) != ask(latitude=48.85341, longitude=2.3488)

    def test_units_convert_the_same_reading(self, sandbox: Sandbox) -> None:
        def ask(**units: str) -> dict[str, float]:
            answer = sandbox.get(
                "/forecast/v1/forecast", **AUSTIN, current="temperature_2m,wind_speed_10m", **units
            ).json()
            labels = answer["current_units"]
            expected = {"fahrenheit": "°F", "mph": "mp/h", "ms": "m/s", "kn": "kn"}
            assert {labels[k] for k in ("temperature_2m", "wind_speed_10m")} >= {
                expected[unit] for unit in units.values()
            }
            current: dict[str, float] = answer["current"]
            return current

        metric, imperial = ask(), ask(temperature_unit="fahrenheit", wind_speed_unit="mph")
        assert imperial["temperature_2m"] == pytest.approx(metric["temperature_2m"] * 1.8 + 32, abs=0.2)
        assert imperial["wind_speed_10m"] == pytest.approx(metric["wind_speed_10m"] * 0.621371, abs=0.2)
        assert ask(wind_speed_unit="ms")["wind_speed_10m"] == pytest.approx(metric["wind_speed_10m"] / 3.6, abs=0.2)

    def test_without_current_there_is_no_weather(self, sandbox: Sandbox) -> None:
        body = sandbox.get("/forecast/v1/forecast", **AUSTIN).json()
        assert "current" not in body
        assert body["timezone"] == "GMT"

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ({"longitude": 1}, "'latitude' and 'longitude' must not be empty"),
            ({"latitude": 91, "longitude": 1}, "Latitude must be in range of -90 to 90°. Given: 91.0."),
            ({"latitude": 1, "longitude": "nan"}, "Longitude must be in range of -180 to 180°."),
            ({"latitude": "north", "longitude": 1}, "latitude"),
            ({**AUSTIN, "current": "temperatur"}, "from invalid String value temperatur."),
            ({**AUSTIN, "temperature_unit": "kelvin"}, "TemperatureUnit from invalid String value kelvin"),
            ({**AUSTIN, "timezone": "Mars/Olympus"}, "Invalid timezone"),
            ({**AUSTIN, "hourly": "temperature_2m"}, "hourly"),
        ],
    )
    def test_refusals(self, sandbox: Sandbox, query: dict[str, object], reason: str) -> None:
        answer = sandbox.get("/forecast/v1/forecast", **query)
        assert answer.status_code == 400
        assert answer.json()["error"] is True
        assert reason in answer.json()["reason"]


class TestQuotes:
    def test_one_quote_with_its_fields(self, sandbox: Sandbox) -> None:
        quote = sandbox.get("/quotes/api/quotes/random").json()
        assert quote.keys() == {"id", "quote", "author", "length", "tags"}
        assert quote["length"] == len(quote["quote"])

    @pytest.mark.parametrize("tag", ["wisdom", "motivation", "self-reflection", "general", "Hope"])
    def test_quote_carries_the_tag_asked_for(self, sandbox: Sandbox, tag: str) -> None:
        quote = sandbox.get("/quotes/api/quotes/random", tags=tag).json()
        assert tag.lower() in quote["tags"]
        assert quote == sandbox.get("/quotes/api/quotes/random", tags=tag).json()

    def test_count_makes_a_list(self, sandbox: Sandbox) -> None:
        assert len(sandbox.get("/quotes/api/quotes/random", tags="wisdom", count=2).json()) == 2

    @pytest.mark.parametrize(
        ("query", "status", "error"),
        [
            ({"tags": "wisdom,cats"}, 400, "Invalid tag(s): cats"),
            ({"tags": "anger,success"}, 404, "No quotes found matching the criteria."),
            ({"count": 51}, 400, "count must be less than or equal to 50."),
            ({"count": 0}, 400, "count must be greater than or equal to 1."),
            ({"count": "5e2"}, 400, "count must be a valid number."),
        ],
    )
    def test_refusals(self, sandbox: Sandbox, query: dict[str, object], status: int, error: str) -> None:
        answer = sandbox.get("/quotes/api/quotes/random", **query)
        assert (answer.status_code, answer.json()) == (status, {"error": error})

    def test_only_get(self, sandbox: Sandbox) -> None:
        answer = requests.post(f"{sandbox.url}/quotes/api/quotes/random", timeout=5)
        assert (answer.status_code, answer.json()["error"]) == (405, "Method POST not allowed for this endpoint.")


class TestFrankfurter:
    def test_latest_rates(self, sandbox: Sandbox) -> None:
        body = sandbox.get("/frankfurter/v1/latest", base="USD", symbols="EUR,GBP").json()
        assert (body["amount"], body["base"], list(body["rates"])) == (1.0, "USD", ["EUR", "GBP"])
        assert date.fromisoformat(body["date"]).weekday() < 5
        assert 0 < body["rates"]["GBP"] < body["rates"]["EUR"] < 1

    def test_amount_multiplies(self, sandbox: Sandbox) -> None:
        one = sandbox.get("/frankfurter/v1/latest", base="USD", symbols="EUR").json()["rates"]["EUR"]
        body = sandbox.get("/frankfurter/v1/latest", base="USD", symbols="EUR", amount="250").json()
        assert body["amount"] == 250.0
        assert body["rates"]["EUR"] == pytest.approx(250 * one, rel=1e-3)

    def test_defaults_and_the_older_names(self, sandbox: Sandbox) -> None:
        everything = sandbox.get("/frankfurter/v1/latest").json()
        assert everything["base"] == "EUR"
        assert "EUR" not in everything["rates"]
        assert len(everything["rates"]) > 25
        assert list(sandbox.get("/frankfurter/v1/latest", **{"from": "gbp", "to": "usd"}).json()["rates"]) == ["USD"]

    def test_there_and_back_is_one(self, sandbox: Sandbox) -> None:
        there = sandbox.get("/frankfurter/v1/latest", base="USD", symbols="JPY").json()["rates"]["JPY"]
        back = sandbox.get("/frankfurter/v1/latest", base="JPY", symbols="USD").json()["rates"]["USD"]
        assert there * back == pytest.approx(1, rel=1e-2)

    @pytest.mark.parametrize(
        ("query", "status", "message"),
        [
            ({"base": "XXX"}, 404, "not found"),
            ({"base": "USD", "symbols": "XXX,YYY"}, 404, "not found"),
            ({"base": "USD", "symbols": "USD"}, 422, "bad currency pair"),
            ({"base": "USD", "amount": "lots"}, 422, "invalid amount"),
            ({"base": "USD", "amount": "-1"}, 422, "invalid amount"),
        ],
    )
    def test_refusals(self, sandbox: Sandbox, query: dict[str, object], status: int, message: str) -> None:
        answer = sandbox.get("/frankfurter/v1/latest", **query)
        assert (answer.status_code, answer.json()) == (status, {"message": message})

    def test_an_unknown_symbol_is_left_out(self, sandbox: Sandbox) -> None:
        assert list(sandbox.get("/frankfurter/v1/latest", base="USD", symbols="EUR,XXX").json()["rates"]) == ["EUR"]


class TestGithub:
    def test_user(self, sandbox: Sandbox) -> None:
        answer = sandbox.get("/github/users/octocat")
        user = answer.json()
        assert user["login"] == "octocat"
        assert user["html_url"] == "https://github.com/octocat"
        assert {"id", "name", "public_repos", "followers", "following", "created_at", "bio", "type"} <= user.keys()
        assert user["id"] == sandbox.get("/github/users/OctoCat").json()["id"]
        assert answer.headers["x-ratelimit-limit"] == "60"
        assert int(answer.headers["x-ratelimit-reset"]) > datetime.now().timestamp()  # noqa: DTZ005 - a timestamp is UTC

    @pytest.mark.parametrize("name", ["missing", "missing-7", "-bad", "a--b", "x" * 40])
    def test_nobody(self, sandbox: Sandbox, name: str) -> None:
        answer = sandbox.get(f"/github/users/{name}")
        assert answer.status_code == 404
        assert answer.json() == {
            "message": "Not Found",
            "documentation_url": "https://docs.github.com/rest/users/users#get-a-user",
            "status": "404",
        }

    def test_a_user_agent_is_required(self, sandbox: Sandbox) -> None:
        answer = requests.get(f"{sandbox.url}/github/users/octocat", headers={"User-Agent": ""}, timeout=5)
        assert answer.status_code == 403
        assert "User-Agent" in answer.text
