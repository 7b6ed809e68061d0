"""The generated files are what the code says; `python -m tools.contracts` renews them."""

from __future__ import annotations

import json

import pytest
from openapi_spec_validator import validate

from tools.contracts import ROOT, generated


@pytest.mark.parametrize("path", sorted(generated()))
def test_the_file_is_what_the_code_says(path: str) -> None:
    assert (ROOT / path).read_text() == generated()[path], "run: .venv/bin/python -m tools.contracts"


def test_the_openapi_document_is_valid() -> None:
    validate(json.loads(generated()["contracts/openapi.json"]))
