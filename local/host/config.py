"""host.json: read, checked, overridden by the environment.

The real host's rules: Azure/azure-functions-host, HostJsonFileConfigurationSource and
ScriptEnvironmentVariablesConfigurationSource. Only what this host acts on is modelled; the rest is accepted silently.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.host.timespan import parse_timespan

_OVERRIDE = "AzureFunctionsJobHost__"
_DEFAULT_TIMEOUT = timedelta(minutes=30)
_V4_SERVICE_BUS_KEYS = {
    "messagehandleroptions": "maxConcurrentCalls, autoCompleteMessages and maxAutoLockRenewalDuration",
    "sessionhandleroptions": "maxConcurrentSessions, sessionIdleTimeout and maxAutoLockRenewalDuration",
    "batchoptions": "maxMessageBatchSize, minMessageBatchSize and maxBatchWaitTime",
    "maxconcurrentcallspersession": "maxConcurrentSessions",
    "autocomplete": "autoCompleteMessages",
}
logger = logging.getLogger("Host.Startup")


class ConfigurationError(Exception):
    """The host cannot start with these settings. The message says which one and what it must be."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """`extensions.http`. -1 means unbounded."""

    route_prefix: str = "api"
    max_outstanding_requests: int = -1
    max_concurrent_requests: int = -1
    enable_chunked_request_binding: bool = False


@dataclass(frozen=True, slots=True)
class ServiceBusOptions:
    """`extensions.serviceBus` of extension 5.x; every limit holds for each function on its own."""

    prefetch_count: int = 0
    auto_complete_messages: bool = True
    max_auto_lock_renewal: timedelta = timedelta(minutes=5)
    max_concurrent_calls: int = 16
    max_message_batch_size: int = 1000
    min_message_batch_size: int = 1
    max_batch_wait_time: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What host.json and its overrides say. `function_timeout` None means unbounded."""

    http: HttpOptions = field(default_factory=HttpOptions)
    service_bus: ServiceBusOptions = field(default_factory=ServiceBusOptions)
    function_timeout: timedelta | None = _DEFAULT_TIMEOUT
    log_levels: Mapping[str, str] = field(default_factory=dict)
    extension_bundle: Mapping[str, Any] = field(default_factory=dict)


class _Section:
    """A JSON object whose keys ignore case and whose values may also be text, as configuration keys do in .NET."""

    def __init__(self, path: str, values: object) -> None:
        if not isinstance(values, dict):
            raise ConfigurationError(f"host.json: {path or 'the file'} must be an object.")
        self._path = path
        self._values = {str(key).lower(): value for key, value in values.items()}

    def keys(self) -> set[str]:
        return set(self._values)

    def section(self, name: str) -> _Section:
        return _Section(f"{self._path}.{name}".lstrip("."), self._values.get(name.lower()) or {})

    def raw(self, name: str) -> Any:
        return self._values.get(name.lower())

    def text(self, name: str, default: str) -> str:
        value = self.raw(name)
        return default if value is None else str(value)

    def number(self, name: str, default: int, minimum: int) -> int:
        value = self.raw(name)
        if value is None:
            return default
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise self._invalid(name, value, "a whole number") from None
        if number < minimum:
            raise self._invalid(name, value, f"at least {minimum}")
        return number

    def flag(self, name: str, default: bool) -> bool:
        value = self.raw(name)
        if value is None:
            return default
        if str(value).lower() not in {"true", "false"}:
            raise self._invalid(name, value, "true or false")
        return str(value).lower() == "true"

    def span(self, name: str, default: timedelta) -> timedelta:
        value = self.raw(name)
        if value is None:
            return default
        try:
            return parse_timespan(str(value))
        except ValueError as error:
            raise self._invalid(name, value, f"a time span ({error})") from None

    def _invalid(self, name: str, value: object, wanted: str) -> ConfigurationError:
        where = f"{self._path}.{name}".lstrip(".")
        return ConfigurationError(f"host.json: {where} is {value!r}; it must be {wanted}.")


def load_host_config(app: Path, environment: Mapping[str, str]) -> HostConfig:
    """The configuration of the app in folder `app`. ConfigurationError where the real host would not start."""
    root = _Section("", override(read_host_json(app), environment))
    service_bus = root.section("extensions").section("serviceBus")
    _refuse_v4_keys(service_bus)
    http = root.section("extensions").section("http")
    levels = root.section("logging").raw("logLevel") or {}
    return HostConfig(
        http=HttpOptions(
            route_prefix=http.text("routePrefix", "api").strip("/"),
            max_outstanding_requests=http.number("maxOutstandingRequests", -1, -1),
            max_concurrent_requests=http.number("maxConcurrentRequests", -1, -1),
            enable_chunked_request_binding=http.flag("enableChunkedRequestBinding", default=False),
        ),
        service_bus=ServiceBusOptions(
            prefetch_count=service_bus.number("prefetchCount", 0, 0),
            auto_complete_messages=service_bus.flag("autoCompleteMessages", default=True),
            max_auto_lock_renewal=service_bus.span("maxAutoLockRenewalDuration", timedelta(minutes=5)),
            max_concurrent_calls=service_bus.number("maxConcurrentCalls", 16, 1),
            max_message_batch_size=service_bus.number("maxMessageBatchSize", 1000, 1),
            min_message_batch_size=service_bus.number("minMessageBatchSize", 1, 1),
            max_batch_wait_time=service_bus.span("maxBatchWaitTime", timedelta(seconds=30)),
        ),
        function_timeout=_function_timeout(root),
        log_levels={str(name): str(level) for name, level in levels.items()},
        extension_bundle=root.raw("extensionBundle") or {},
    )


def read_host_json(app: Path) -> dict[str, Any]:
    """The parsed host.json; version 2.0 alone when the file is absent or empty."""
    path = app / "host.json"
    if not path.is_file():
        logger.warning("There is no %s: default settings apply.", path)
        return {"version": "2.0"}
    try:
        values = json.loads(path.read_text("utf-8-sig") or "{}")
    except ValueError as error:
        raise ConfigurationError(f"Unable to parse host configuration file '{path}'. {error}") from error
    if not isinstance(values, dict):
        raise ConfigurationError(f"Unable to parse host configuration file '{path}'. It must hold a JSON object.")
    if not values:
        return {"version": "2.0"}
    if "version" not in values:
        raise ConfigurationError("The host.json file is missing the required 'version' property.")
    if values["version"] != "2.0":
        raise ConfigurationError(
            f"'{values['version']}' is an invalid value for host.json 'version' property. Write \"version\": \"2.0\"."
        )
    return values


def override(values: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """`values` with every AzureFunctionsJobHost__a__b (or `:`) of the environment laid over a.b; keys ignore case."""
    result: dict[str, Any] = json.loads(json.dumps(values))
    for name, value in environment.items():
        normalized = name.replace(":", "__")
        if not normalized.startswith(_OVERRIDE):
            continue
        *parents, leaf = normalized.removeprefix(_OVERRIDE).split("__")
        node = result
        for parent in parents:
            key = _existing_key(node, parent)
            if not isinstance(node.get(key), dict):
                node[key] = {}
            node = node[key]
        node[_existing_key(node, leaf)] = value
    return result


def _existing_key(node: Mapping[str, Any], name: str) -> str:
    return next((key for key in node if key.lower() == name.lower()), name)


def _refuse_v4_keys(service_bus: _Section) -> None:
    for key in service_bus.keys() & _V4_SERVICE_BUS_KEYS.keys():
        raise ConfigurationError(
            f"host.json: extensions.serviceBus.{key} belongs to version 4 of the Service Bus extension and would be "
            f"ignored by version 5; use {_V4_SERVICE_BUS_KEYS[key]} of extensions.serviceBus instead."
        )


def _function_timeout(root: _Section) -> timedelta | None:
    timeout = root.span("functionTimeout", _DEFAULT_TIMEOUT)
    if timeout == timedelta(days=-1):
        return None
    if timeout < timedelta(seconds=1):
        raise ConfigurationError("host.json: functionTimeout must be at least 00:00:01, or -1 for no limit.")
    return timeout
