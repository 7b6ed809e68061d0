"""The page at /api/docs."""

from __future__ import annotations

import html
import re

import pytest
import requests

from tests.contract.http_api.api import Api, problem_of

pytestmark = pytest.mark.xdist_group("stack")


@pytest.fixture
def page(api: Api) -> requests.Response:
    return api.get("/api/docs")


def test_it_names_every_call_and_every_shape(api: Api, page: requests.Response) -> None:
    contract = api.get("/api/openapi.json").json()
    text = html.unescape(re.sub(r"<[^>]+>", "", page.text))
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()} {path}" in text
            assert operation["summary"] in text
    for name, schema in contract["components"]["schemas"].items():
        assert f'id="schema-{name}"' in page.text
        assert all(field in text for field in schema.get("properties", {}))


def test_every_link_leads_somewhere(page: requests.Response) -> None:
    ids = re.findall(r' id="([^"]+)"', page.text)
    assert len(ids) == len(set(ids))
    links = set(re.findall(r'href="([^"]+)"', page.text))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    assert {link for link in links if not link.startswith("#")} == {"openapi.json"}


def test_it_runs_nothing_and_asks_nobody(page: requests.Response) -> None:
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text


def test_an_unknown_parameter_is_refused(api: Api) -> None:
    problem_of(api.get("/api/docs?x=1"), 422, "invalid_request", "x")
