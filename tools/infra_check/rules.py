"""Our own rules for single properties: what is switched off, encrypted and in the range that Azure accepts.

Azure's types say nothing of ranges, and would take a template that lets keys in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tools.infra_check.evaluate import Deployed
from tools.infra_check.syntax import Finding
from tools.infra_check.values import Unknown, alternatives, at

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")

#: Evaluation frequencies and windows that both kinds of alert rules take.
_FREQUENCIES = ("PT1M", "PT5M", "PT10M", "PT15M", "PT30M", "PT45M", "PT1H")
_WINDOWS = (*_FREQUENCIES, "PT2H", "PT3H", "PT4H", "PT5H", "PT6H", "PT12H", "P1D", "PT24H")


class Rule(NamedTuple):
    """A property, whether it must be given, what it must be, in words and as a test."""

    type: str
    path: str
    required: bool
    must_be: str
    holds: Callable[[Any], bool]


def seconds(duration: Any) -> float | None:
    """The length of an ISO 8601 duration; None for what is not one."""
    match = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if match is None or not any(match.groups()):
        return None
    days, hours, minutes, rest = (int(each or 0) for each in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest


def check_rules(resource: Deployed) -> Iterator[Finding]:
    """Findings of one resource."""
    for rule in RULES:
        if rule.type == resource.type:
            yield from _checked(resource, rule)


def _checked(resource: Deployed, rule: Rule) -> Iterator[Finding]:
    path = rule.path.split(".")
    for value in alternatives(at(resource.value, *path)):
        missing = value is None
        if (missing and rule.required) or not (missing or isinstance(value, Unknown) or rule.holds(value)):
            found = "is not set, but" if missing else f"is {value!r}, but"
            name = resource.declaration.name
            yield resource.finding(f"{name}: {rule.path} {found} must be {rule.must_be}", *path)


def _is(type_: str, path: str, *allowed: Any) -> Rule:
    return Rule(type_, path, True, " or ".join(map(str, allowed)), lambda value: value in allowed)


def _any(type_: str, path: str) -> Rule:
    return Rule(type_, path, True, "set", bool)


def _among(type_: str, path: str, *allowed: Any) -> Rule:
    return Rule(type_, path, False, "one of " + ", ".join(map(str, allowed)), lambda value: value in allowed)


def _between(type_: str, path: str, low: int, high: int) -> Rule:
    return Rule(type_, path, False, f"from {low} to {high}", lambda value: low <= value <= high)


def _lasting(type_: str, path: str, low: str, high: str) -> Rule:
    def holds(value: Any) -> bool:
        length = seconds(value)
        return length is not None and (seconds(low) or 0) <= length <= (seconds(high) or 0)

    return Rule(type_, path, True, f"from {low} to {high}", holds)


_BUS, _QUEUE = "Microsoft.ServiceBus/namespaces", "Microsoft.ServiceBus/namespaces/queues"
_STORAGE, _COSMOS = "Microsoft.Storage/storageAccounts", "Microsoft.DocumentDB/databaseAccounts"
_SITE, _SIGNALR = "Microsoft.Web/sites", "Microsoft.SignalRService/signalR"
_WORKSPACE = "Microsoft.OperationalInsights/workspaces"
_METRIC_ALERT, _QUERY_ALERT = "Microsoft.Insights/metricAlerts", "Microsoft.Insights/scheduledQueryRules"
_DEPLOYMENT = "properties.functionAppConfig.deployment.storage.authentication"
_SCALE = "properties.functionAppConfig.scaleAndConcurrency"

RULES = (
    # Keys and passwords are refused everywhere: identities only.
    _is(_BUS, "properties.disableLocalAuth", True),
    _is(_COSMOS, "properties.disableLocalAuth", True),
    _is(_COSMOS, "properties.disableKeyBasedMetadataWriteAccess", True),
    _is(_SIGNALR, "properties.disableLocalAuth", True),
    _is(_STORAGE, "properties.allowSharedKeyAccess", False),
    _is("Microsoft.Insights/components", "properties.DisableLocalAuth", True),
    _is(_WORKSPACE, "properties.features.disableLocalAuth", True),
    _is("Microsoft.Web/sites/basicPublishingCredentialsPolicies", "properties.allow", False),
    _is(_SITE, f"{_DEPLOYMENT}.type", "UserAssignedIdentity"),
    _is(_SITE, "identity.type", "UserAssigned"),
    # Nothing travels in the clear or by an old protocol, nothing is public that need not be.
    _is(_BUS, "properties.minimumTlsVersion", "1.2"),
    _is(_COSMOS, "properties.minimalTlsVersion", "Tls12"),
    _is(_STORAGE, "properties.minimumTlsVersion", "TLS1_2", "TLS1_3"),
    _is(_STORAGE, "properties.supportsHttpsTrafficOnly", True),
    _is(_STORAGE, "properties.allowBlobPublicAccess", False),
    _is(_STORAGE, "properties.allowCrossTenantReplication", False),
    _is("Microsoft.Storage/storageAccounts/blobServices/containers", "properties.publicAccess", "None"),
    _is(_SITE, "properties.httpsOnly", True),
    _is(_SITE, "properties.siteConfig.minTlsVersion", "1.2", "1.3"),
    _is(_SITE, "properties.siteConfig.scmMinTlsVersion", "1.2", "1.3"),
    _is(_SITE, "properties.siteConfig.ftpsState", "Disabled"),
    Rule(_SITE, "properties.siteConfig.cors.allowedOrigins", True, "without *", lambda value: "*" not in value),
    Rule(_SIGNALR, "properties.cors.allowedOrigins", True, "without *", lambda value: "*" not in value),
    *(_any(type_, "properties.publicNetworkAccess") for type_ in (_BUS, _COSMOS, _STORAGE)),
    _any("Microsoft.Insights/components", "properties.WorkspaceResourceId"),
    # Without it the account is paid by provisioned throughput.
    Rule(
        _COSMOS,
        "properties.capabilities",
        True,
        "EnableServerless, or none for autoscale",
        lambda value: value in ([], [{"name": "EnableServerless"}]),
    ),
    # What makes the app run on Flex Consumption, and the browser's connections go to SignalR alone.
    _is("Microsoft.Web/serverfarms", "sku.name", "FC1"),
    _is("Microsoft.Web/serverfarms", "sku.tier", "FlexConsumption"),
    _is("Microsoft.Web/serverfarms", "properties.reserved", True),
    _is(_SITE, "kind", "functionapp,linux"),
    _any(_SITE, "properties.serverFarmId"),
    _any(_SITE, "identity.userAssignedIdentities"),
    _is(_SITE, "properties.functionAppConfig.deployment.storage.type", "blobContainer"),
    _any(_SITE, f"{_DEPLOYMENT}.userAssignedIdentityResourceId"),
    _is(_SITE, "properties.functionAppConfig.runtime.name", "python"),
    _among(_SITE, "properties.functionAppConfig.runtime.version", "3.11", "3.12", "3.13"),
    _any("Microsoft.Resources/resourceGroups", "tags.azd-env-name"),
    # azd deploys the service `api` of azure.yaml to the app with this tag.
    _is(_SITE, "tags.azd-service-name", "api"),
    Rule(
        _SIGNALR,
        "properties.features",
        True,
        "with the service mode Serverless",
        lambda value: {"flag": "ServiceMode", "value": "Serverless"} in value,
    ),
    # A right must know what it is given to: Azure may look for the principal before it is known everywhere.
    _any("Microsoft.Authorization/roleAssignments", "properties.principalType"),
    _any("Microsoft.DocumentDB/databaseAccounts/sqlRoleAssignments", "properties.principalId"),
    # Ranges, from the reference of each service.
    _lasting(_QUEUE, "properties.lockDuration", "PT5S", "PT5M"),
    _lasting(_QUEUE, "properties.duplicateDetectionHistoryTimeWindow", "PT20S", "P7D"),
    _lasting(_QUEUE, "properties.defaultMessageTimeToLive", "PT1S", "P3650D"),
    _between(_QUEUE, "properties.maxDeliveryCount", 1, 2000),
    _among(_BUS, "sku.capacity", 1, 2, 4, 8, 16),
    _among(_SITE, f"{_SCALE}.instanceMemoryMB", 512, 2048, 4096),
    _between(_SITE, f"{_SCALE}.maximumInstanceCount", 1, 1000),
    _between(_SITE, f"{_SCALE}.triggers.http.perInstanceConcurrency", 1, 1000),
    _between(_WORKSPACE, "properties.retentionInDays", 30, 730),
    _between(_METRIC_ALERT, "properties.severity", 0, 4),
    _between(_QUERY_ALERT, "properties.severity", 0, 4),
    _is(_METRIC_ALERT, "properties.enabled", True),
    _is(_QUERY_ALERT, "properties.enabled", True),
    *(_among(alert, "properties.evaluationFrequency", *_FREQUENCIES) for alert in (_METRIC_ALERT, _QUERY_ALERT)),
    *(_among(alert, "properties.windowSize", *_WINDOWS) for alert in (_METRIC_ALERT, _QUERY_ALERT)),
)
