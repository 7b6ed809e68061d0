"""The settings that limit job types and tenants: JSON, in which every unknown name is refused with the one meant."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.errors import SettingsError, did_you_mean
from shared.jobs.limits import Limit
from shared.jobs.registry import Registry

JOB_TYPE_LIMITS = "DTQ_JOB_TYPE_LIMITS"
TENANT_LIMITS = "DTQ_TENANT_LIMITS"

_FIELDS = [field.name for field in msgspec.structs.fields(Limit)]
_FORM = '{"rate_per_second": 5, "max_concurrent": 10}'


def job_type_limits(text: str, registry: Registry) -> dict[str, Limit]:
    """The limits of each job type: its own, with what the setting says instead; null there lifts a limit.

    Raises SettingsError.
    """
    given = _object(JOB_TYPE_LIMITS, text, f'{{"github_user": {_FORM}}}')
    known = [job_type.name for job_type in registry]
    for name in given:
        if name not in known:
            raise SettingsError(
                f"The setting {JOB_TYPE_LIMITS} names the job type {name!r}, which is unknown."
                f"{did_you_mean(name, known)} Known: {', '.join(known)}."
            )
    return {
        job_type.name: _limit(JOB_TYPE_LIMITS, f" of {job_type.name}", given.get(job_type.name, {}), job_type.limit)
        for job_type in registry
    }


def tenant_limits(text: str) -> Limit:
    """The limits that each tenant is under. Raises SettingsError."""
    return _limit(TENANT_LIMITS, "", _object(TENANT_LIMITS, text, _FORM), Limit())


def _object(setting: str, text: str, form: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise SettingsError(f"The setting {setting} is {text!r}, but must be JSON such as {form}: {exc}.") from exc


def _limit(setting: str, of: str, given: Any, own: Limit) -> Limit:
    if not isinstance(given, dict):
        raise SettingsError(f"The setting {setting} has the limits{of} {given!r}, but they must look like {_FORM}.")
    for name in given:
        if name not in _FIELDS:
            raise SettingsError(
                f"The setting {setting} has the limit {name!r}{of}, which is unknown.{did_you_mean(name, _FIELDS)} "
                f"Known: {', '.join(_FIELDS)}."
            )
    try:
        return msgspec.convert({**msgspec.structs.asdict(own), **given}, Limit)
    except msgspec.ValidationError as exc:
        raise SettingsError(f"The setting {setting} has wrong limits{of}: {exc}.") from exc
