"""Queue definitions: the official emulator's Config.json, read and checked.

Format: https://learn.microsoft.com/azure/service-bus-messaging/test-locally-with-service-bus-emulator. Unlike the real
service the durations may be as short as one second (`LockDuration` too), which tests make use of.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
#: .NET's TimeSpan.MaxValue, which the service and its clients write for "unlimited".
UNLIMITED = "P10675199DT2H48M5.4775807S"
_UNLIMITED_SECONDS = 10_675_199 * 86_400.0
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,258}[A-Za-z0-9_])?")
MAX_LOCK_SECONDS = 300.0
STATUSES = ("Active", "Disabled", "SendDisabled", "ReceiveDisabled")


class ConfigError(ValueError):
    """A queue definition that cannot be used: the text names the queue, the property and the fix."""


@dataclass(frozen=True)
class QueueProperties:
    """What defines a queue's behaviour. Durations in seconds, infinite where unlimited."""

    lock_duration: float = 60.0
    max_delivery_count: int = 10
    default_message_time_to_live: float = math.inf
    dead_lettering_on_message_expiration: bool = False
    requires_duplicate_detection: bool = False
    duplicate_detection_history_time_window: float = 600.0
    forward_to: str = ""
    forward_dead_lettered_messages_to: str = ""
    status: str = "Active"
    max_size_in_megabytes: int = 1024
    user_metadata: str = ""


#: The names of Config.json and of the admin API's XML, and the field that each one sets.
PROPERTY_FIELDS = {
    "LockDuration": "lock_duration",
    "MaxDeliveryCount": "max_delivery_count",
    "DefaultMessageTimeToLive": "default_message_time_to_live",
    "DeadLetteringOnMessageExpiration": "dead_lettering_on_message_expiration",
    "RequiresDuplicateDetection": "requires_duplicate_detection",
    "DuplicateDetectionHistoryTimeWindow": "duplicate_detection_history_time_window",
    "ForwardTo": "forward_to",
    "ForwardDeadLetteredMessagesTo": "forward_dead_lettered_messages_to",
    "Status": "status",
    "MaxSizeInMegabytes": "max_size_in_megabytes",
    "UserMetadata": "user_metadata",
}
_DEFAULTS = QueueProperties()


def parse_duration(text: str) -> float:
    """Seconds of an ISO 8601 duration of days, hours, minutes and seconds. Raises ConfigError."""
    match = _DURATION.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ConfigError(f"{text!r} is not an ISO 8601 duration such as PT30S or P14D")
    days, hours, minutes, seconds = (float(group or 0) for group in match.groups())
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    return math.inf if total >= _UNLIMITED_SECONDS else total


def format_duration(seconds: float) -> str:
    if seconds == math.inf:
        return UNLIMITED
    days, rest = divmod(seconds, 86_400)
    return f"P{int(days)}DT{rest:g}S" if days else f"PT{rest:g}S"


def parse_properties(given: dict[str, Any], base: QueueProperties = _DEFAULTS) -> QueueProperties:
    """`base` with what is `given` by its public names, as JSON values or as the text of XML. Raises ConfigError."""
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name == "RequiresSession":
            if _convert(name, value, False) is True:
                raise ConfigError("RequiresSession: this emulator has no sessions; set it to false")
            continue
        if name not in PROPERTY_FIELDS:
            close = difflib.get_close_matches(name, PROPERTY_FIELDS, n=1)
            raise ConfigError(f"{name} is not a queue property" + (f"; did you mean {close[0]}?" if close else ""))
        field = PROPERTY_FIELDS[name]
        changes[field] = _convert(name, value, getattr(_DEFAULTS, field))
    properties = replace(base, **changes)
    _check_ranges(properties)
    return properties


def _convert(name: str, value: Any, default: Any) -> Any:
    """`value` as the type of `default`; durations are the floats."""
    text = str(value).strip()
    if isinstance(default, bool):
        if text.lower() not in {"true", "false"}:
            raise ConfigError(f"{name}: {value!r} is neither true nor false")
        return text.lower() == "true"
    if isinstance(default, float):
        try:
            return parse_duration(text)
        except ConfigError as error:
            raise ConfigError(f"{name}: {error}") from error
    if isinstance(default, int):
        if not text.isdigit():
            raise ConfigError(f"{name}: {value!r} is not a whole number")
        return int(text)
    return "" if value is None else text


def _check_ranges(properties: QueueProperties) -> None:
    checks = (
        (1 <= properties.lock_duration <= MAX_LOCK_SECONDS, "LockDuration must be from PT1S to PT5M"),
        (properties.max_delivery_count >= 1, "MaxDeliveryCount must be at least 1"),
        (properties.default_message_time_to_live >= 1, "DefaultMessageTimeToLive must be at least PT1S"),
        (
            1 <= properties.duplicate_detection_history_time_window <= 7 * 86_400,
            "DuplicateDetectionHistoryTimeWindow must be from PT1S to P7D",
        ),
        (properties.status in STATUSES, f"Status must be one of {', '.join(STATUSES)}"),
    )
    for holds, text in checks:
        if not holds:
            raise ConfigError(text)


def check_name(name: str) -> None:
    """Raises ConfigError for a name that the service would not take."""
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{name!r} is not a queue name: use letters, digits and . - _ / (at most 260)")


def check_forwarding(queues: dict[str, QueueProperties]) -> None:
    """Each forwarding target must be another queue that exists and forwarding must not run in a circle.

    `queues` maps lower-case names to properties. Raises ConfigError.
    """
    for name, properties in queues.items():
        for label, target in (
            ("ForwardTo", properties.forward_to),
            ("ForwardDeadLetteredMessagesTo", properties.forward_dead_lettered_messages_to),
        ):
            if target and (target.lower() not in queues or target.lower() == name):
                raise ConfigError(f"queue {name}: {label} names {target!r}, which is not another queue of this file")
        seen = [name]
        while (target := queues[seen[-1]].forward_to.lower()) in queues:
            if target in seen:
                raise ConfigError(f"queue {name}: ForwardTo runs in a circle: {' -> '.join([*seen, target])}")
            seen.append(target)


def load(path: Path) -> dict[str, QueueProperties]:
    """The queues that a Config.json defines, by the names as written. Raises ConfigError, OSError."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        namespaces = document["UserConfig"]["Namespaces"]
        definitions = [queue for namespace in namespaces for queue in namespace.get("Queues", [])]
        topics = [topic for namespace in namespaces for topic in namespace.get("Topics", [])]
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is not a Service Bus emulator Config.json: {error!r}") from error
    if topics:
        raise ConfigError(f"{path} defines {len(topics)} topic(s): this emulator has queues only; empty Topics")
    queues: dict[str, QueueProperties] = {}
    for definition in definitions:
        name = str(definition.get("Name", ""))
        try:
            check_name(name)
            queues[name] = parse_properties(definition.get("Properties", {}))
        except ConfigError as error:
            raise ConfigError(f"{path}: queue {name!r}: {error}") from error
    if len({name.lower() for name in queues}) < len(definitions):
        raise ConfigError(f"{path} defines a queue twice; their names do not tell letter case apart")
    check_forwarding({name.lower(): properties for name, properties in queues.items()})
    return queues
