"""App settings: local.settings.json, %name% expansion, connections and the switches that disable a function."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from local.host.config import ConfigurationError


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """The parts of local.settings.json that are not app settings."""

    cors: tuple[str, ...] = ()
    cors_credentials: bool = False
    port: int = 7071


@dataclass(frozen=True, slots=True)
class Connection:
    """Where a trigger connects to: a connection string, or a namespace that Entra ID guards. Exactly one is set."""

    connection_string: str | None = None
    namespace: str | None = None


class SettingError(Exception):
    """A setting that one function needs is missing or malformed; only that function is left out."""


def apply_local_settings(app: Path, environment: MutableMapping[str, str]) -> LocalSettings:
    """Add the Values of local.settings.json to `environment`, never over what is set; return its Host section."""
    path = app / "local.settings.json"
    if not path.is_file():
        return LocalSettings()
    try:
        content = json.loads(path.read_text("utf-8-sig"))
        values, host = content.get("Values") or {}, content.get("Host") or {}
        encrypted = content.get("IsEncrypted", False)
    except (ValueError, AttributeError) as error:
        raise ConfigurationError(f"{path} is not a JSON object of settings: {error}") from error
    if encrypted:
        raise ConfigurationError(f"{path} is encrypted; run `func settings decrypt` where Core Tools is installed.")
    for name, value in values.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"{path}: Values.{name} must be text; put it in quotes.")
        environment.setdefault(name, value)
    origins = [origin.strip() for origin in str(host.get("CORS", "")).split(",")]
    return LocalSettings(
        cors=tuple(origin for origin in origins if origin),
        cors_credentials=bool(host.get("CORSCredentials", False)),
        port=int(host.get("LocalHttpPort", 7071)),
    )


def apply_platform_settings(app: Path, port: int, environment: MutableMapping[str, str] = os.environ) -> None:
    """Set what the platform sets for every app, unless the caller already did."""
    defaults = {
        "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
        "AzureWebJobsScriptRoot": str(app),
        "FUNCTIONS_EXTENSION_VERSION": "~4",
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "WEBSITE_HOSTNAME": f"localhost:{port}",
        "WEBSITE_INSTANCE_ID": uuid.uuid4().hex,
    }
    for name, value in defaults.items():
        environment.setdefault(name, value)


def expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace every %name% by the setting of that name; not recursive. SettingError when one is missing."""

    def replace(match: re.Match[str]) -> str:
        value = environment.get(match[1])
        if value is None:
            raise SettingError(f"'%{match[1]}%' does not resolve to a value.")
        return value

    expanded = re.sub(r"%([^%]+)%", replace, text)
    if text.count("%") % 2:
        raise SettingError(f"The '%' at position {text.rindex('%')} does not have a closing '%'.")
    return expanded


def resolve_connection(name: str, environment: Mapping[str, str]) -> Connection:
    """The connection called `name`; AzureWebJobsNAME wins over NAME, and an empty value counts as absent.

    Source: Azure/azure-webjobs-sdk, IConfigurationExtensions.GetWebJobsConnectionSection.
    """
    name = name or "ServiceBus"
    for candidate in (f"AzureWebJobs{name}", name):
        for key in (f"ConnectionStrings__{candidate}", candidate):
            if environment.get(key):
                return Connection(connection_string=environment[key])
            namespace = environment.get(f"{key}__fullyQualifiedNamespace")
            if namespace:
                return Connection(namespace=namespace)
    raise SettingError(
        f"The connection '{name}' is not set. Set {name} to a connection string, or {name}__fullyQualifiedNamespace "
        "to a namespace that the signed-in identity may use."
    )


def is_disabled(function: str, environment: Mapping[str, str]) -> bool:
    """Whether AzureWebJobs.<function>.Disabled (or with `_`) is `1` or `true`; no other value counts."""
    names = (f"AzureWebJobs.{function}.Disabled", f"AzureWebJobs_{function}_Disabled")
    return any(environment.get(name, "").lower() in {"1", "true"} for name in names)
