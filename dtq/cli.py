"""The `dtq` command: each of its commands is one call of the API, its answer printed as JSON.

It ends with 0 when all went well, 1 when the queue refused or a job that was waited for did not complete, 2 for a wrong
command line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from dtq.client import Client, DtqError

LOCAL = "http://127.0.0.1:7071"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit status."""
    options = _parser().parse_args(arguments)
    with Client(options.url, os.environ.get("DTQ_KEY", "")) as client:
        try:
            answer = options.run(client, options)
        except (DtqError, TimeoutError) as exc:
            print(f"dtq: {exc}", file=sys.stderr)  # noqa: T201 - a command line's own output
            return 1
    print(json.dumps(answer, indent=2, ensure_ascii=False))  # noqa: T201 - likewise
    waited_in_vain = getattr(options, "wait", None) is not None and answer["state"] != "completed"
    return 1 if waited_in_vain else 0


def _submit(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    job = client.submit(
        options.job_type,
        options.payload,
        idempotency_key=options.idempotency_key,
        priority=options.priority,
        run_at=options.run_at,
        delay_seconds=options.delay_seconds,
        max_retries=options.max_retries,
        timeout_seconds=options.timeout_seconds,
        tags=options.tags,
    )
    if options.wait is None:
        return job
    client.wait(job["job_id"], options.wait)
    return client.result(job["job_id"])


def _list(client: Client, options: argparse.Namespace) -> dict[str, Any]:
    return client.list(
        limit=options.limit,
        page_token=options.page_token,
        state=options.state,
        job_type=options.job_type,
        priority=options.priority,
    )


def _payload(text: str) -> dict[str, Any]:
    try:
        payload = json.loads(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"is not JSON: {exc}") from exc
    if not isinstance(payload, dict):
        raise argparse.ArgumentTypeError('must be a JSON object, such as \'{"city": "Austin"}\'')
    return payload


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dtq", description="Submit jobs to a DTQ and follow them.")
    parser.add_argument(
        "--url",
        default=os.environ.get("DTQ_URL", LOCAL),
        help="the queue's address (default: DTQ_URL, else %(default)s); its function key is read from DTQ_KEY",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    submit = commands.add_parser("submit", help="submit a job")
    submit.add_argument("job_type")
    submit.add_argument("--payload", type=_payload, default={}, metavar="JSON", help="a JSON object")
    submit.add_argument("--priority", help="critical, high, medium or low")
    submit.add_argument("--run-at", metavar="TIME", help="when, with a time zone: 2026-12-24T18:00:00Z")
    submit.add_argument("--delay-seconds", type=float, metavar="S")
    submit.add_argument("--max-retries", type=int, metavar="N")
    submit.add_argument("--timeout-seconds", type=float, metavar="S")
    submit.add_argument("--tags", nargs="+", metavar="TAG")
    submit.add_argument("--idempotency-key", default="", metavar="KEY", help="a second job with this key is the first")
    submit.add_argument(
        "--wait", nargs="?", type=float, const=300, metavar="S", help="wait for its end, and print the result"
    )
    submit.set_defaults(run=_submit)

    calls = {
        "get": (lambda client, options: client.get(options.job_id), "a job as it is now"),
        "wait": (lambda client, options: client.wait(options.job_id, options.timeout), "a job once it has ended"),
        "details": (lambda client, options: client.details(options.job_id), "a job with payload and attempts so far"),
        "result": (lambda client, options: client.result(options.job_id), "how a job ended"),
        "cancel": (lambda client, options: client.cancel(options.job_id), "cancel a job"),
        "retry": (lambda client, options: client.retry(options.job_id), "start a failed or cancelled job again"),
    }
    for name, (run, text) in calls.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("job_id")
        if name == "wait":
            command.add_argument("--timeout", type=float, default=300, metavar="S")
        command.set_defaults(run=run)

    listing = commands.add_parser("list", help="jobs, newest first")
    for name in ("state", "job-type", "priority", "page-token"):
        listing.add_argument(f"--{name}")
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="1 to 200 (default: %(default)s)")
    listing.set_defaults(run=_list)
    return parser
