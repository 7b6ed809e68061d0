"""Try a running app out, with nothing but Python: probes, one job from submission to result, live updates, the page.

The function key is taken from the environment variable DTQ_KEY. Prints each step; exits 1 at the first that fails.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

#: How long a step is tried, in seconds: a first start, and roles that were just given, take minutes.
PATIENCE = 300
#: Between two tries of a step, in seconds.
PAUSE = 5.0


class StepError(Exception):
    """A step did not go as it should; the message says how it went."""


def call(method: str, url: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON (or text) of an answer. Raises StepError when there is none."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "x-functions-key": os.environ.get("DTQ_KEY", "")}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - the addresses we were given
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode(errors="replace")
    except OSError as error:
        raise StepError(f"{url} cannot be reached: {error}") from error
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


def expect(status: int, method: str, url: str, body: Any = None) -> Any:
    """The body of an answer that must have this status."""
    got, answer = call(method, url, body)
    if got != status:
        raise StepError(f"{method} {url} answered {got}, not {status}: {str(answer)[:500]}")
    return answer


def run_a_job(api: str, patience: float) -> None:
    """Submit a job of the highest priority and wait for its result."""
    job = {"job_type": "test_task", "payload": {"result": {"smoke": True}}, "priority": "critical", "tags": ["smoke"]}
    url = f"{api}/api/v1/jobs/{expect(202, 'POST', f'{api}/api/v1/jobs', job)['job_id']}"
    deadline = time.monotonic() + patience
    while True:
        state = expect(200, "GET", f"{url}?wait=20")["state"]
        if state in ("completed", "failed", "cancelled"):
            break
        if time.monotonic() > deadline:
            raise StepError(f"the job {url} is still {state} after {patience:.0f} s: do the queue functions run?")
    result = expect(200, "GET", f"{url}/result")
    if state != "completed" or result["result"]["result"] != {"smoke": True}:
        raise StepError(f"the job {url} is {state}: {result}")


def look_at_the_page(page: str, api: str) -> None:
    """The page is there and knows this API."""
    expect(200, "GET", page)
    config = expect(200, "GET", f"{page}/config.json")
    if (config["apiBase"] or page) != api:  # empty: where the page comes from
        raise StepError(f"config.json of the page holds {config}, not the address {api}")


def patiently(patience: float, step: Callable[[], object]) -> None:
    """Try a step until it goes well. Raises StepError with its last word."""
    deadline = time.monotonic() + patience
    while True:
        try:
            step()
        except StepError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
        else:
            return


def main() -> int:
    """Do all steps."""
    parser = argparse.ArgumentParser(description="Try a running app out.")
    parser.add_argument("--api", required=True, metavar="URL", help="the function app, without /api")
    parser.add_argument("--page", metavar="URL", help="the static website")
    parser.add_argument("--patience", type=float, default=PATIENCE, metavar="S", help=f"default: {PATIENCE} a step")
    options = parser.parse_args()
    api, page, patience = options.api.rstrip("/"), (options.page or "").rstrip("/"), options.patience
    negotiate = f"{api}/api/v1/realtime/negotiate?negotiateVersion=1"
    steps: dict[str, Callable[[], object]] = {
        "the process answers": lambda: patiently(patience, lambda: expect(200, "GET", f"{api}/api/healthz")),
        "all services answer": lambda: patiently(patience, lambda: expect(200, "GET", f"{api}/api/readyz")),
        "live updates can be had": lambda: patiently(patience, lambda: expect(200, "POST", negotiate)),
        "a job runs and gives its result": lambda: run_a_job(api, patience),
    }
    if page:
        steps["the page is there and knows the API"] = lambda: patiently(patience, lambda: look_at_the_page(page, api))
    for name, step in steps.items():
        begun = time.monotonic()
        try:
            step()
        except StepError as error:
            sys.stderr.write(f"FAILED: {name}: {error}\n")
            return 1
        sys.stdout.write(f"ok: {name} ({time.monotonic() - begun:.1f} s)\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
