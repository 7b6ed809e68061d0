"""Every setting of the app, typed, in one place; read once at start, where a wrong one stops the app by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from shared.errors import SettingsError, did_you_mean
from shared.jobs.limits import Limit
from shared.jobs.model import Priority
from shared.jobs.registry import Registry
from shared.limit_settings import JOB_TYPE_LIMITS, TENANT_LIMITS, job_type_limits, tenant_limits

#: The product's own settings begin so, which makes a misspelt one recognisable.
PREFIX = "DTQ_"

#: Settings with the prefix that other programs (client, command line) read: not ours, but not unknown either.
CLIENT_SETTINGS = frozenset({"DTQ_URL", "DTQ_KEY"})

#: How many levels of ageing each priority is ahead.
DEFAULT_WEIGHTS: Mapping[Priority, int] = MappingProxyType(
    {Priority.CRITICAL: 3, Priority.HIGH: 2, Priority.MEDIUM: 1, Priority.LOW: 0}
)


class Connection(msgspec.Struct, frozen=True):
    """How to reach a service: `endpoint` with the app's managed identity, or a connection string (keys) locally."""

    connection_string: str = ""
    endpoint: str = ""
    client_id: str = ""


class TelemetrySettings(msgspec.Struct, frozen=True):
    """Where telemetry goes, as which identity (None: by the connection string's key; "": the app's own), and what share
    of traces, 0..1."""

    connection_string: str
    client_id: str | None = None
    sampling: float = 1.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one app. Sizes are in bytes, times in the unit of the name."""

    service_bus: Connection
    tables: Connection
    cosmos: Connection
    signalr: Connection
    cosmos_database: str = "dtq"
    status_ttl_hours: int = 24
    result_ttl_days: int = 30
    max_payload_bytes: int = 128 * 1024
    max_batch_bytes: int = 16 * 1024 * 1024
    lease_seconds: int = 30
    slots: int = 16
    ageing_seconds: int = 10
    priority_weights: Mapping[Priority, int] = DEFAULT_WEIGHTS
    telemetry: TelemetrySettings | None = None
    job_type_settings: dict[str, str] = {}
    job_type_limits: dict[str, Limit] = {}
    tenant_limits: Limit = Limit()
    tenant_max_open: int = 0


class _Service(msgspec.Struct, frozen=True):
    """The names that a connection may come by: NAME holds a connection string, NAME__suffix an identity's endpoint."""

    field: str
    name: str
    suffix: str
    hint: str


_SERVICES = (
    _Service("service_bus", "ServiceBusConnection", "fullyQualifiedNamespace", "<namespace>.servicebus.windows.net"),
    _Service("tables", "TablesConnection", "endpoint", "https://<account>.table.core.windows.net"),
    _Service("cosmos", "CosmosConnection", "accountEndpoint", "https://<account>.documents.azure.com:443/"),
    _Service("signalr", "AzureSignalRConnectionString", "serviceUri", "https://<name>.service.signalr.net"),
)

#: Environment variable, field of Settings, smallest and largest value.
_NUMBERS = (
    ("DTQ_STATUS_TTL_HOURS", "status_ttl_hours", 1, 24 * 365),
    ("DTQ_RESULT_TTL_DAYS", "result_ttl_days", 1, 3650),
    ("DTQ_MAX_PAYLOAD_BYTES", "max_payload_bytes", 1024, 190 * 1024),
    ("DTQ_MAX_BATCH_BYTES", "max_batch_bytes", 1024, 100 * 1024 * 1024),
    ("DTQ_LEASE_SECONDS", "lease_seconds", 3, 300),
    ("DTQ_TENANT_MAX_OPEN", "tenant_max_open", 0, 1_000_000),
    ("DTQ_SLOTS", "slots", 1, 1000),
    ("DTQ_AGEING_SECONDS", "ageing_seconds", 1, 3600),
)
_TEXTS = (("DTQ_COSMOS_DATABASE", "cosmos_database"),)
_WEIGHTS = "DTQ_PRIORITY_WEIGHTS"
_SAMPLING = "DTQ_TELEMETRY_SAMPLING"
_INSIGHTS = "APPLICATIONINSIGHTS_CONNECTION_STRING"
#: As the Functions host reads it: `Authorization=AAD`, before it `ClientId=...;` for a user-assigned identity.
_INSIGHTS_IDENTITY = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"


def load_settings(environment: Mapping[str, str], registry: Registry) -> Settings:
    """The settings in `environment`. Raises SettingsError for the first missing, unknown or malformed one."""
    job_type_settings = {
        setting.name: environment.get(setting.name, setting.default)
        for job_type in registry
        for setting in job_type.settings
    }
    _refuse_unknown(environment, job_type_settings)
    fields: dict[str, Any] = {service.field: _connection(environment, service) for service in _SERVICES}
    for name, field, low, high in _NUMBERS:
        if name in environment:
            fields[field] = _whole_number(name, environment[name], low, high)
    for name, field in _TEXTS:
        if environment.get(name):
            fields[field] = environment[name]
    fields["job_type_limits"] = job_type_limits(environment.get(JOB_TYPE_LIMITS, ""), registry)
    fields["tenant_limits"] = tenant_limits(environment.get(TENANT_LIMITS, ""))
    if environment.get(_WEIGHTS):
        fields["priority_weights"] = _weights(environment[_WEIGHTS])
    return Settings(**fields, telemetry=_telemetry(environment), job_type_settings=job_type_settings)


def _connection(environment: Mapping[str, str], service: _Service) -> Connection:
    connection_string = environment.get(service.name, "")
    endpoint = environment.get(f"{service.name}__{service.suffix}", "")
    if not connection_string and not endpoint:
        raise SettingsError(
            f"The setting {service.name} is missing. Set {service.name}__{service.suffix}={service.hint} to use the "
            f"app's identity, or {service.name} to a connection string. `python -m local env` prints those of a stack "
            "that runs on this machine."
        )
    return Connection(connection_string, endpoint, environment.get(f"{service.name}__clientId", ""))


def _telemetry(environment: Mapping[str, str]) -> TelemetrySettings | None:
    """None without a connection string: nothing is sent then."""
    sampling = _share(_SAMPLING, environment.get(_SAMPLING, "1"))
    connection_string = environment.get(_INSIGHTS, "")
    if not connection_string:
        return None
    identity = environment.get(_INSIGHTS_IDENTITY, "")
    if not identity:
        return TelemetrySettings(connection_string, None, sampling)
    parts = {name.strip().lower(): value.strip() for name, _, value in (p.partition("=") for p in identity.split(";"))}
    if parts.get("authorization", "").upper() != "AAD":
        raise SettingsError(
            f"The setting {_INSIGHTS_IDENTITY} is {identity!r}, but must be Authorization=AAD, with ClientId=<id>; "
            "before it for a user-assigned identity."
        )
    return TelemetrySettings(connection_string, parts.get("clientid", ""), sampling)


def _refuse_unknown(environment: Mapping[str, str], job_type_settings: Mapping[str, str]) -> None:
    own = {_WEIGHTS, _SAMPLING, JOB_TYPE_LIMITS, TENANT_LIMITS, *(name for name, *_ in (*_NUMBERS, *_TEXTS))}
    known = own | set(job_type_settings) | CLIENT_SETTINGS
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name not in known:
            raise SettingsError(
                f"The setting {name} is unknown.{did_you_mean(name.upper(), known)} Remove it or correct its name; "
                f"the known ones are {', '.join(sorted(known))}."
            )


def _weights(text: str) -> Mapping[Priority, int]:
    """`critical=3,high=2,medium=1,low=0`: every priority once, none below a less urgent one."""
    weights: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        weights[name.strip()] = int(value) if value.strip().isdecimal() else -1
    ordered = [weights.get(priority, -1) for priority in Priority]
    if len(weights) != len(Priority) or not all(0 <= weight <= 100 for weight in ordered):
        problem = "name every priority once, with a whole number from 0 to 100"
    elif ordered != sorted(ordered, reverse=True):
        problem = "give no priority more than a more urgent one"
    else:
        return MappingProxyType(dict(zip(Priority, ordered, strict=True)))
    raise SettingsError(
        f"The setting {_WEIGHTS} is {text!r}, but must {problem}, as in critical=3,high=2,medium=1,low=0."
    )


def _whole_number(name: str, text: str, low: int, high: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise SettingsError(f"The setting {name} is {text!r}, but must be a whole number from {low} to {high}.")
    return value


def _share(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise SettingsError(f"The setting {name} is {text!r}, but must be a number from 0 to 1.")
    return value
