"""The files in contracts/ are what the code says; `python -m tools.contracts` renews them."""

from __future__ import annotations

import pytest
from openapi_spec_validator import validate

from tools.contracts import FOLDER, contracts, text


@pytest.mark.parametrize("name", ["openapi.json", "message.schema.json", "result.schema.json"])
def test_the_file_is_what_the_code_says(name: str) -> None:
    assert (FOLDER / name).read_text() == text(contracts()[name]), "run: .venv/bin/python -m tools.contracts"


def test_the_openapi_document_is_valid() -> None:
    validate(contracts()["openapi.json"])
