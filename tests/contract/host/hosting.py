"""Apps and hosts for the suite."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.services import Service

APPS = Path(__file__).parent / "apps"
PREAMBLE = """\
import asyncio, functools, logging, time, typing
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""


def write_app(folder: Path, source: str, *, host_json: str = '{"version": "2.0"}', preamble: str = PREAMBLE) -> Path:
    """An app of `source` in `folder`."""
    (folder / "function_app.py").write_text(preamble + source)
    (folder / "host.json").write_text(host_json)
    return folder


def wait_until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Return once `condition()` is true; fail when that takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def wait_for_log(service: Service, text: str, seconds: float = 10, count: int = 1) -> list[str]:
    """The log lines that contain `text`, once there are `count` of them."""

    def lines() -> list[str]:
        return [line for line in list(service.log) if text in line]

    deadline = time.monotonic() + seconds
    while len(lines()) < count:
        assert time.monotonic() < deadline, f"no {text!r} in:\n" + "\n".join(service.log)
        time.sleep(0.01)
    return lines()
