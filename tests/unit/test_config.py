"""Settings: a wrong one is named, with the fix."""

from __future__ import annotations

import pytest

from shared.config import Settings, load_settings
from shared.errors import SettingsError
from shared.handlers import load_job_types

CONNECTIONS = {
    "ServiceBusConnection": "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=k;SharedAccessKey=s",
    "TablesConnection": "UseDevelopmentStorage=true",
    "CosmosConnection": "AccountEndpoint=http://127.0.0.1:8081/;AccountKey=a",
    "AzureSignalRConnectionString": "Endpoint=http://127.0.0.1;Port=8888;AccessKey=a;Version=1.0;",
}
IDENTITIES = {
    "ServiceBusConnection": ("fullyQualifiedNamespace", "service_bus"),
    "TablesConnection": ("endpoint", "tables"),
    "CosmosConnection": ("accountEndpoint", "cosmos"),
    "AzureSignalRConnectionString": ("serviceUri", "signalr"),
}


def load(**environment: str) -> Settings:
    return load_settings({**CONNECTIONS, **environment}, load_job_types())


def test_connection_strings_alone_are_enough() -> None:
    settings = load()
    assert settings.service_bus.connection_string == CONNECTIONS["ServiceBusConnection"]
    assert (settings.status_ttl_hours, settings.result_ttl_days, settings.max_payload_bytes) == (24, 30, 131072)
    assert settings.job_type_settings["DTQ_GITHUB_URL"] == "https://api.github.com"


@pytest.mark.parametrize("name", CONNECTIONS)
def test_an_identitys_endpoint_stands_for_a_connection_string(name: str) -> None:
    suffix, field = IDENTITIES[name]
    environment = {key: value for key, value in CONNECTIONS.items() if key != name}
    environment |= {f"{name}__{suffix}": "there", f"{name}__clientId": "me"}
    connection = getattr(load_settings(environment, load_job_types()), field)
    assert (connection.connection_string, connection.endpoint, connection.client_id) == ("", "there", "me")


@pytest.mark.parametrize("name", CONNECTIONS)
def test_a_missing_connection_is_named_with_both_ways_to_set_it(name: str) -> None:
    environment = {key: value for key, value in CONNECTIONS.items() if key != name}
    with pytest.raises(SettingsError, match=rf"{name} is missing\. Set {name}__{IDENTITIES[name][0]}=.*local env"):
        load_settings(environment, load_job_types())


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DTQ_LEASE_SECOND", "DTQ_LEASE_SECONDS"),
        ("DTQ_GITHUB_URI", "DTQ_GITHUB_URL"),
        ("dtq_lease_seconds", "DTQ_LEASE_SECONDS"),
    ],
)
def test_a_misspelt_setting_is_answered_with_the_one_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} is unknown\. Did you mean '{meant}'\?"):
        load(**{name: "1"})


def test_settings_of_others_are_left_alone() -> None:
    load(PATH="/bin", DTQ_URL="http://127.0.0.1:7071", DTQ_KEY="k", FUNCTIONS_WORKER_RUNTIME="python")


BOUNDS = {
    "DTQ_STATUS_TTL_HOURS": ("status_ttl_hours", 1, 8760),
    "DTQ_RESULT_TTL_DAYS": ("result_ttl_days", 1, 3650),
    "DTQ_MAX_PAYLOAD_BYTES": ("max_payload_bytes", 1024, 194560),
    "DTQ_MAX_BATCH_BYTES": ("max_batch_bytes", 1024, 104857600),
    "DTQ_LEASE_SECONDS": ("lease_seconds", 3, 300),
    "DTQ_SLOTS": ("slots", 1, 1000),
    "DTQ_AGEING_SECONDS": ("ageing_seconds", 1, 3600),
    "DTQ_TENANT_MAX_OPEN": ("tenant_max_open", 0, 1_000_000),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_a_number_within_its_bounds_is_taken_and_any_other_named_with_them(name: str) -> None:
    field, low, high = BOUNDS[name]
    assert getattr(load(**{name: str(low)}), field) == low
    assert getattr(load(**{name: str(high)}), field) == high
    for wrong in (str(low - 1), str(high + 1), "", "ten", "1.5", "-1"):
        with pytest.raises(
            SettingsError, match=f"{name} is '{wrong}', but must be a whole number from {low} to {high}"
        ):
            load(**{name: wrong})


def test_a_job_types_own_setting_is_taken() -> None:
    assert load(DTQ_QUOTE_URL="http://127.0.0.1:9").job_type_settings["DTQ_QUOTE_URL"] == "http://127.0.0.1:9"
    assert load(DTQ_COSMOS_DATABASE="other").cosmos_database == "other"


def test_weights_are_taken_for_every_priority() -> None:
    assert load().priority_weights == {"critical": 3, "high": 2, "medium": 1, "low": 0}
    weights = load(DTQ_PRIORITY_WEIGHTS="low=0, critical=9,high=9,medium=1").priority_weights
    assert weights == {"critical": 9, "high": 9, "medium": 1, "low": 0}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("critical=3", "name every priority once"),
        ("critical=3,high=2,medium=1,low=0,lower=0", "name every priority once"),
        ("critical=3,high=2,medium=1,low=-1", "name every priority once"),
        ("critical=101,high=2,medium=1,low=0", "name every priority once"),
        ("critical=x,high=2,medium=1,low=0", "name every priority once"),
        ("critical=1,high=2,medium=1,low=0", "give no priority more than a more urgent one"),
    ],
)
def test_weights_that_make_no_order_are_refused(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=f"DTQ_PRIORITY_WEIGHTS is '{text}', but must {problem}"):
        load(DTQ_PRIORITY_WEIGHTS=text)
