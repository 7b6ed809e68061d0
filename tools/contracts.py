"""Write contracts/: the OpenAPI document and the schemas of what travels and rests; a test holds the code to them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from functions.openapi import document
from shared.handlers import load_job_types
from shared.jobs.model import JobMessage, ResultDocument

FOLDER = Path(__file__).resolve().parent.parent / "contracts"


def contracts() -> dict[str, dict[str, Any]]:
    """Every contract by its file's name."""
    return {
        "openapi.json": document(load_job_types()),
        "message.schema.json": msgspec.json.schema(JobMessage),
        "result.schema.json": msgspec.json.schema(ResultDocument),
    }


def text(contract: dict[str, Any]) -> str:
    """A contract as its file holds it."""
    return json.dumps(contract, indent=2, sort_keys=True) + "\n"


def main() -> int:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    for name, contract in contracts().items():
        (FOLDER / name).write_text(text(contract))
    return 0


if __name__ == "__main__":
    sys.exit(main())
