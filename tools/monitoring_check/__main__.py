"""`python -m tools.monitoring_check`: writes the workbook from the queries. The tests check the rest."""

from __future__ import annotations

from tools.monitoring_check.workbook import write

if __name__ == "__main__":
    write()
