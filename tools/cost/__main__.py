"""`python -m tools.cost --jobs-per-day N ...`: dollars a month."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from tools.cost.model import DAYS, Workload, bill

_HELP = {
    "payload_kb": "size of a payload",
    "result_kb": "size of a result",
    "run_seconds": "how long an attempt runs",
    "provider_calls": "calls of providers a job",
    "retries": "attempts beyond the first, a job",
    "failed": "share of jobs that fail for good",
    "reads": "GET requests a job, by its client",
    "progress": "handlers report progress all the time",
    "batch": "jobs a submission",
    "busy_hours": "hours of a day in which the jobs come",
    "queues": "priorities in use",
    "concurrency": "attempts that an instance runs at once (DTQ_SLOTS)",
    "memory_mb": "of an instance",
    "premium_units": "messaging units of Service Bus Premium; 0: Standard",
    "viewers": "browsers that watch",
    "sampling": "DTQ_TELEMETRY_SAMPLING",
    "status_ttl_hours": "DTQ_STATUS_TTL_HOURS",
    "result_ttl_days": "DTQ_RESULT_TTL_DAYS",
}


def main(argv: Sequence[str]) -> int:
    """Print the bill."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.cost", description="Dollars a month for a workload in Azure."
    )
    parser.add_argument("--jobs-per-day", type=float, required=True)
    for field in msgspec.structs.fields(Workload):
        if field.name not in _HELP:
            continue
        option = {"help": f"{_HELP[field.name]} (default {field.default})", "default": field.default}
        parser.add_argument(f"--{field.name.replace('_', '-')}", **option, **_kind(field))
    workload = Workload(**vars(parser.parse_args(argv)))
    lines = bill(workload)
    total = sum(line.dollars for line in lines)
    for line in lines:
        sys.stdout.write(f"{line.service:<28} {line.quantity:>36} {line.dollars:>12,.2f}\n")
    million = total / (workload.jobs_per_day * DAYS) * 1_000_000 if workload.jobs_per_day else 0.0
    sys.stdout.write(f"{'a month':<28} {f'${million:,.2f} a million jobs':>36} {total:>12,.2f}\n")
    return 0


def _kind(field: msgspec.structs.FieldInfo) -> dict[str, Any]:
    if field.type is bool:
        return {"action": "store_true"}
    if choices := get_args(field.type):
        return {"type": int, "choices": choices}
    return {"type": field.type}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
