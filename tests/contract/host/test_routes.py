"""Which function a path reaches: the real host's order, templates and constraints."""

from __future__ import annotations

import pytest

from tests.contract.host.conftest import Http
from tests.contract.host.hosting import wait_for_log

pytestmark = pytest.mark.xdist_group("host-http")  # one process holds what the fixtures start

GUID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("method", "path", "function", "route"),
    [
        ("GET", "/api/jobs/7", "a_get", {"id": "7"}),
        # The first function by name wins: its parameter hides the literal of a later one ...
        ("GET", "/api/jobs/batch", "a_get", {"id": "batch"}),
        # ... but a method that does not fit lets the next route try.
        ("POST", "/api/jobs/batch", "z_batch", {}),
        ("GET", "/API/Jobs/Seven/", "a_get", {"id": "Seven"}),
        ("GET", "/api/jobs/a%20b", "a_get", {"id": "a b"}),
        ("GET", "/api/jobs/a%2Fb", "a_get", {"id": "a%2Fb"}),
        ("GET", "/api/typed/12", "by_number", {"number": "12"}),
        ("GET", f"/api/typed/{GUID}", "by_guid", {"identifier": GUID}),
        ("GET", "/api/optional/1", "optional", {"first": "1"}),
        ("GET", "/api/optional/1/2", "optional", {"first": "1", "second": "2"}),
        ("GET", "/api/files", "files", {}),
        ("GET", "/api/files/a/b.txt", "files", {"path": "a/b.txt"}),
        ("GET", "/api/named/pair/a-b-c", "pair", {"left": "a-b", "right": "c"}),
    ],
)
def test_matches(http: Http, method: str, path: str, function: str, route: dict[str, str]) -> None:
    answer = http.call(method, path).json()
    assert (answer["function"], answer["route"]) == (function, route)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/api/jobs/7"),  # a wrong method is 404, never 405
        ("HEAD", "/api/jobs/7"),
        ("OPTIONS", "/api/jobs/7"),
        ("GET", "/api/jobs"),
        ("GET", "/api/jobs/7/8"),
        ("GET", "/api/typed/9"),
        ("GET", "/api/typed/twelve"),
        ("GET", "/jobs/7"),
        ("GET", "/api/admin/mine"),
        ("GET", "/api/bad/1"),
        ("GET", "/api/unknown"),
        ("GET", "/nowhere"),
    ],
)
def test_does_not_match(http: Http, method: str, path: str) -> None:
    answer = http.call(method, path)
    assert (answer.status_code, answer.content) == (404, b"")
    assert "allow" not in answer.headers


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("reserved", "The specified route conflicts with one or more built in routes."),
        ("bad_constraint", "The constraint reference 'nonsense' could not be resolved to a type."),
        ("unknown_binding", "The binding type(s) 'blobby' are not registered."),
    ],
)
def test_a_bad_function_is_left_out_alone(http: Http, function: str, reason: str) -> None:
    wait_for_log(http.service, f"The '{function}' function is in error: {reason}")
    errors = http.get(f"/admin/functions/{function}/status").json()["errors"]
    assert errors[0].startswith(reason)
