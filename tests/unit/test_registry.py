"""Declaring job types, and finding them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shared.errors import UnknownJobTypeError
from shared.handlers import load_job_types
from shared.jobs import JobContext, Payload, job_type, registry
from shared.jobs.limits import Limit
from shared.jobs.registry import Handler, Registry


class Greeting(Payload):
    name: str


class Plain(msgspec.Struct):
    name: str


@pytest.fixture(autouse=True)
def declared(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Job types declared by a test are gone after it."""
    types: dict[str, Any] = dict(registry._declared)
    monkeypatch.setattr(registry, "_declared", types)
    return types


def declare(name: str = "greet", example: dict[str, Any] | None = None) -> Callable[[Handler], Handler]:
    return job_type(name, description="Says hello.", example=example or {"name": "Ada"})


def test_a_declared_handler_is_found_with_its_types_and_defaults(declared: dict[str, Any]) -> None:
    @declare()
    def greet(payload: Greeting, job: JobContext) -> str:
        return f"{payload.name} {job.attempt}"

    found = Registry(declared.values()).require("greet")
    assert (found.payload_type, found.result_type, found.is_async) == (Greeting, str, False)
    assert (found.priority, found.timeout_seconds, found.retry.max_retries) == ("medium", 60, 3)


def test_a_coroutine_function_is_known_as_one(declared: dict[str, Any]) -> None:
    @declare()
    async def greet(payload: Greeting, job: JobContext) -> str:
        return f"{payload.name} {job.attempt}"

    assert declared["greet"].is_async


def no_parameters() -> None: ...
def one_parameter(payload: Greeting) -> None: ...
def three_parameters(payload: Greeting, job: JobContext, more: int) -> None: ...
def no_annotation(payload, job: JobContext) -> None: ...  # type: ignore[no-untyped-def] # noqa: ANN001
def not_a_payload(payload: Plain, job: JobContext) -> None: ...
def a_dictionary(payload: dict[str, Any], job: JobContext) -> None: ...


def test_a_job_type_may_have_limits_and_a_wrong_one_is_refused(declared: dict[str, Any]) -> None:
    def greet(payload: Greeting, job: JobContext) -> None: ...

    job_type("greet", description="Says hello.", example={"name": "Ada"}, rate_per_second=5, max_concurrent=2)(greet)
    assert declared["greet"].limit == Limit(rate_per_second=5, max_concurrent=2)
    with pytest.raises(ValueError, match="rate_per_second must be from"):
        job_type("greet", description="Says hello.", example={"name": "Ada"}, rate_per_second=0)(greet)


@pytest.mark.parametrize(
    "handler", [no_parameters, one_parameter, three_parameters, no_annotation, not_a_payload, a_dictionary]
)
def test_a_handler_that_could_not_be_called_is_refused_by_name(handler: Any, declared: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=rf"{handler.__name__} must take \(payload: <a Payload>, job: JobContext\)"):
        declare()(handler)
    assert "greet" not in declared


def test_an_example_that_its_own_payload_refuses_is_refused() -> None:
    def greet(payload: Greeting, job: JobContext) -> None: ...

    with pytest.raises(msgspec.ValidationError, match="unknown field `nam`"):
        declare(example={"nam": "Ada"})(greet)


def test_a_name_belongs_to_one_module() -> None:
    load_job_types()

    def greet(payload: Greeting, job: JobContext) -> None: ...

    with pytest.raises(ValueError, match=r"'quote' is declared by shared\.handlers\.quote already"):
        declare("quote")(greet)


def test_every_file_of_the_handlers_folder_is_a_job_type_with_a_schema_and_a_valid_example() -> None:
    found = {each.name: each for each in load_job_types()}
    assert list(found) == ["exchange_rate", "github_user", "quote", "test_task", "weather"]
    for each in found.values():
        assert each.description
        assert msgspec.convert(each.example, each.payload_type)
        assert each.payload_schema()["$defs"][each.payload_type.__name__]["additionalProperties"] is False


def test_an_unknown_job_type_is_answered_with_the_closest_and_all_known() -> None:
    with pytest.raises(
        UnknownJobTypeError, match=r"'wether'\. Did you mean 'weather'\? Known: exchange_rate, "
    ) as caught:
        load_job_types().require("wether")
    assert caught.value.errors == (("/job_type", "no such job type"),)
    known = ["exchange_rate", "github_user", "quote", "test_task", "weather"]
    assert caught.value.details == {"known_job_types": known}
