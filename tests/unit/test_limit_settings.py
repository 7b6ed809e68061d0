"""The settings of limits: over those of the job types, and a wrong name is answered with the one meant."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared.errors import SettingsError
from shared.jobs.context import JobContext
from shared.jobs.limits import Limit
from shared.jobs.model import Priority
from shared.jobs.registry import JobType, Payload, Registry
from shared.jobs.retry import RetryPolicy
from shared.limit_settings import job_type_limits, tenant_limits


def job_type(name: str, limit: Limit = Limit()) -> JobType:  # noqa: B008 - it is frozen
    def handler(payload: Payload, job: JobContext) -> None: ...

    return JobType(
        name=name,
        description="",
        handler=handler,
        payload_type=Payload,
        result_type=Any,
        example={},
        priority=Priority.LOW,
        retry=RetryPolicy(),
        timeout_seconds=60,
        settings=(),
        limit=limit,
    )


REGISTRY = Registry([job_type("quote", Limit(rate_per_second=2, max_concurrent=3)), job_type("weather")])


def test_without_the_setting_a_job_type_has_its_own_limits() -> None:
    assert job_type_limits("", REGISTRY) == {"quote": Limit(rate_per_second=2, max_concurrent=3), "weather": Limit()}
    assert not tenant_limits("")


def test_the_setting_replaces_what_it_names_and_null_lifts_a_limit() -> None:
    text = '{"quote": {"rate_per_second": 0.5, "max_concurrent": null}, "weather": {"max_concurrent": 4}}'
    assert job_type_limits(text, REGISTRY) == {"quote": Limit(rate_per_second=0.5), "weather": Limit(max_concurrent=4)}
    assert job_type_limits('{"quote": {"rate_per_second": 9}}', REGISTRY)["quote"] == Limit(
        rate_per_second=9, max_concurrent=3
    )
    assert tenant_limits('{"rate_per_second": 50}') == Limit(rate_per_second=50)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"qoute": {}}', "names the job type 'qoute', which is unknown. Did you mean 'quote'? Known: quote, weather."),
        ('{"quote": {"rate": 5}}', "'rate' of quote, which is unknown."),
        ('{"quote": {"max_concurent": 5}}', "Did you mean 'max_concurrent'? Known: rate_per_second, max_concurrent."),
        ('{"quote": 5}', 'the limits of quote 5, but they must look like {"rate_per_second": 5, "max_concurrent": 10}'),
        ('{"quote": {"rate_per_second": "5"}}', "wrong limits of quote: Expected `float | null`"),
        ('{"quote": {"rate_per_second": 0}}', "rate_per_second must be from 0.001 to 10000"),
        ('{"quote": {"max_concurrent": 1.5}}', "wrong limits of quote: Expected `int | null`"),
        ("{", "but must be JSON such as"),
        ("[]", "but must be JSON such as"),
    ],
)
def test_a_wrong_setting_is_answered_with_what_is_right(text: str, answer: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(answer)) as caught:
        job_type_limits(text, REGISTRY)
    assert str(caught.value).startswith("The setting DTQ_JOB_TYPE_LIMITS ")


def test_a_wrong_limit_of_tenants_is_refused_too() -> None:
    with pytest.raises(SettingsError, match="DTQ_TENANT_LIMITS has the limit 'rate', which is unknown"):
        tenant_limits('{"rate": 1}')
