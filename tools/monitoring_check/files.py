"""Where the monitoring files are."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MONITORING = ROOT / "infra/monitoring"
QUERIES = MONITORING / "queries"
ALERTS = MONITORING / "alerts"
WORKBOOK = MONITORING / "workbook.json"
BICEP = ROOT / "infra/bicep/modules/monitoring.bicep"
RUNBOOKS = ROOT / "docs/how-to/runbooks"
ANALYSER = Path(__file__).with_name("analyse.js")
TABLES = Path(__file__).with_name("tables.json")
_BLOCK = re.compile(r"^ *```kusto\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


def queries() -> dict[str, str]:
    """Every query's text by its path under infra/monitoring."""
    return {str(path.relative_to(MONITORING)): path.read_text() for path in sorted(MONITORING.glob("*/*.kql"))}


def runbook_queries() -> dict[str, str]:
    """The queries that runbooks show, by runbook and number."""
    return {
        f"{path.name} {number}": textwrap.dedent(text)
        for path in sorted(RUNBOOKS.glob("*.md"))
        for number, text in enumerate(_BLOCK.findall(path.read_text()), start=1)
    }
