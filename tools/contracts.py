"""Write what the code itself knows best: contracts/ and the picture of a job's states. A test compares them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from functions.openapi import document
from shared.handlers import load_job_types
from shared.jobs.model import JobMessage, JobState, ResultDocument
from shared.jobs.states import MEANINGS, TERMINAL, TRANSITIONS

ROOT = Path(__file__).resolve().parent.parent

_STATES = """\
# A job's states

Made from `shared/jobs/states.py`, where every change of state is checked, by `python -m tools.contracts`.

```mermaid
stateDiagram-v2
{arrows}
```

| state | meaning |
|---|---|
{meanings}

A job leaves `failed` or `cancelled` only by an explicit retry or replay, which starts a new run under the same id. From
`running` to `running` is a take-over: the owner's lease had ended."""


def generated() -> dict[str, str]:
    """Every generated file, by its path from the root."""
    schemas: dict[str, dict[str, Any]] = {
        "openapi.json": document(load_job_types()),
        "message.schema.json": msgspec.json.schema(JobMessage),
        "result.schema.json": msgspec.json.schema(ResultDocument),
    }
    files = {
        f"contracts/{name}": json.dumps(schema, indent=2, sort_keys=True) + "\n" for name, schema in schemas.items()
    }
    return {**files, "docs/reference/states.md": _states()}


def _states() -> str:
    arrows = [f"    [*] --> {state}" for state in (JobState.SCHEDULED, JobState.QUEUED)]
    arrows += [f"    {before} --> {after}" for before in JobState for after in JobState if after in TRANSITIONS[before]]
    arrows += [f"    {state} --> [*]" for state in JobState if state in TERMINAL]
    meanings = [f"| `{state}` | {text} |" for state, text in MEANINGS.items()]
    return _STATES.format(arrows="\n".join(arrows), meanings="\n".join(meanings))


def main() -> int:
    """Write them all."""
    for path, content in generated().items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
