"""What Microsoft's worker takes and refuses, our host takes and refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.worker.cases import ACCEPTED, PREAMBLE, REFUSED
from tests.contract.worker.conftest import Worker

pytestmark = pytest.mark.xdist_group("worker")  # one process holds what the fixtures start

Index = dict[str, Any]


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("apps")
    result = {}
    for number, (name, source) in enumerate({**REFUSED, **ACCEPTED}.items()):
        app = folder / str(number)
        app.mkdir()
        (app / "function_app.py").write_text(f"{PREAMBLE}{source}\n")
        (app / "host.json").write_text('{"version": "2.0"}')
        result[name] = app
    return result


@pytest.fixture(scope="module")
def theirs(worker: Worker, apps: dict[str, Path]) -> dict[str, Index]:
    return dict(zip(apps, worker([{"app": str(app)} for app in apps.values()]), strict=True))


@pytest.fixture(scope="module")
def ours(our_loader: Callable[[list[Path]], list[Index]], apps: dict[str, Path]) -> dict[str, Index]:
    return dict(zip(apps, our_loader(list(apps.values())), strict=True))


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_both(theirs: dict[str, Index], ours: dict[str, Index], name: str) -> None:
    assert "error" in theirs[name], "the table is wrong: Microsoft's worker takes this app"
    assert "error" in ours[name], f"the worker says: {theirs[name]['error']}"


@pytest.mark.parametrize("name", ACCEPTED)
def test_indexed_alike(theirs: dict[str, Index], ours: dict[str, Index], name: str) -> None:
    assert "error" not in theirs[name], "the table is wrong: Microsoft's worker refuses this app"
    assert ours[name].get("functions") == theirs[name]["functions"]


def test_error_of_the_worker_is_repeated(theirs: dict[str, Index], ours: dict[str, Index]) -> None:
    """Where the worker's message is its own and not Python's, ours says the same, and where."""
    for name in ("union return", "extra parameter", "context annotated dict", "Out without type", "two apps"):
        assert theirs[name]["error"].split("(function.json")[0] in ours[name]["error"]
