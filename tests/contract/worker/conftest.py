"""The worker's environment, or a loud reason why there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.contract.worker.environment import ROOT, NoPythonError, ensure

FOLDER = Path(__file__).parent
_MISSING = "Microsoft's worker did not judge anything"
Worker = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def worker() -> Worker:
    """Runs cases through the real worker; skips without CPython 3.13, and fails where CI=true."""
    try:
        python = ensure()
    except NoPythonError as error:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"{_MISSING}: {error}")
        pytest.skip(f"{_MISSING}: {error}")

    def run(cases: list[dict[str, Any]], environment: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        return _json_of([str(python), str(FOLDER / "real_worker.py")], json.dumps(cases), environment)

    return run


@pytest.fixture(scope="session")
def our_loader() -> Callable[[list[Path]], list[dict[str, Any]]]:
    """Indexes apps with the local host's loader."""

    def run(apps: list[Path]) -> list[dict[str, Any]]:
        return _json_of([sys.executable, "-m", "tests.contract.worker.our_loader", *map(str, apps)])

    return run


def _json_of(command: list[str], text: str = "", environment: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
    result = subprocess.run(
        command,
        cwd=ROOT,
        input=text,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    answer: list[dict[str, Any]] = json.loads(result.stdout)
    return answer
