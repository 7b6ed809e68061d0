"""The settings under which the function app, and any other client, reaches the local services."""

from __future__ import annotations

from collections.abc import Mapping

from local.supervisor.ports import LOOPBACK

#: The account that Azurite and every Azure SDK know as the emulator's.
STORAGE_ACCOUNT = "devstoreaccount1"

#: Setting of a provider's base address -> its place in the sandbox of the public APIs.
_PROVIDERS = {
    "DTQ_WEATHER_GEOCODING_URL": "geocoding",
    "DTQ_WEATHER_FORECAST_URL": "forecast",
    "DTQ_QUOTE_URL": "quotes",
    "DTQ_EXCHANGE_RATE_URL": "frankfurter",
    "DTQ_GITHUB_URL": "github",
}


def app_settings(ports: Mapping[str, int], keys: Mapping[str, str]) -> dict[str, str]:
    """The app's settings as NAME -> value. Without a port for `sandbox` the providers are the live ones."""
    settings = {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "ServiceBusConnection": (
            f"Endpoint=sb://{LOOPBACK}:{ports['servicebus']};SharedAccessKeyName=RootManageSharedAccessKey;"
            f"SharedAccessKey={keys['servicebus']};UseDevelopmentEmulator=true;"
        ),
        "TablesConnection": (
            f"DefaultEndpointsProtocol=http;AccountName={STORAGE_ACCOUNT};AccountKey={keys['azurite']};"
            f"TableEndpoint=http://{LOOPBACK}:{ports['azurite']}/{STORAGE_ACCOUNT};"
        ),
        "CosmosConnection": f"AccountEndpoint=http://{LOOPBACK}:{ports['cosmos']}/;AccountKey={keys['cosmos']};",
        "AzureSignalRConnectionString": (
            f"Endpoint=http://{LOOPBACK};Port={ports['signalr']};AccessKey={keys['signalr']};Version=1.0;"
        ),
    }
    if "sandbox" in ports:
        base = f"http://{LOOPBACK}:{ports['sandbox']}"
        settings |= {name: f"{base}/{place}" for name, place in _PROVIDERS.items()}
    return settings
