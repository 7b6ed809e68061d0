"""The settings that telemetry goes by."""

from __future__ import annotations

import pytest

from shared.config import Settings, TelemetrySettings, load_settings
from shared.errors import SettingsError
from shared.handlers import load_job_types
from tests.contract.worker.test_product import SETTINGS

INSIGHTS = "InstrumentationKey=k;IngestionEndpoint=https://x/"


def load(**extra: str) -> Settings:
    return load_settings({**SETTINGS, **extra}, load_job_types())


def test_without_a_connection_string_nothing_is_sent() -> None:
    assert load().telemetry is None
    assert load(DTQ_TELEMETRY_SAMPLING="0.5").telemetry is None


@pytest.mark.parametrize(
    ("authentication", "client_id"),
    [
        ("", None),
        ("Authorization=AAD", ""),
        ("ClientId=the-id;Authorization=AAD", "the-id"),
        ("authorization=aad ; clientid=the-id", "the-id"),
    ],
)
def test_the_hosts_authentication_string_chooses_the_identity(authentication: str, client_id: str | None) -> None:
    loaded = load(
        APPLICATIONINSIGHTS_CONNECTION_STRING=INSIGHTS,
        APPLICATIONINSIGHTS_AUTHENTICATION_STRING=authentication,
        DTQ_TELEMETRY_SAMPLING="0.1",
    )
    assert loaded.telemetry == TelemetrySettings(INSIGHTS, client_id, 0.1)


@pytest.mark.parametrize("text", ["10%", "1.1", "-0.1", "nan", ""])
def test_a_share_that_is_none_stops_the_app_by_name(text: str) -> None:
    with pytest.raises(SettingsError, match="DTQ_TELEMETRY_SAMPLING"):
        load(DTQ_TELEMETRY_SAMPLING=text)


def test_an_authentication_string_that_is_none_stops_the_app_by_name() -> None:
    with pytest.raises(SettingsError, match="APPLICATIONINSIGHTS_AUTHENTICATION_STRING"):
        load(
            APPLICATIONINSIGHTS_CONNECTION_STRING=INSIGHTS,
            APPLICATIONINSIGHTS_AUTHENTICATION_STRING="ClientId=the-id",
        )
