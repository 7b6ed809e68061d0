"""`python -m tools.scale`: the figures of docs/explanation/scale.md: what binds first, bursts and their picture."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.scale.ceilings import ceiling_table
from tools.scale.picture import draw
from tools.scale.simulation import Outcome, Scenario, simulate

PICTURE = Path(__file__).resolve().parents[2] / "docs/images/scale.svg"

SCENARIOS = (
    Scenario(name="Standard, from zero"),
    Scenario(name="Standard, one warm", warm=1),
    Scenario(name="two Standard, one warm", namespaces=2, warm=1),
    Scenario(name="Premium, one warm", namespaces=0, warm=1),
)


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as rows of Markdown."""
    rows = ["| | all done after | half started within | 99 in 100 within | instances |", "|---|---|---|---|---|"]
    rows += [
        f"| {each.scenario.name} | {each.seconds} s | {each.wait(0.5):.0f} s | {each.wait(0.99):.0f} s "
        f"| {each.peak_instances} |"
        for each in outcomes
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    sys.stdout.write(ceiling_table(0.5) + "\n")
    results = [simulate(scenario) for scenario in SCENARIOS]
    PICTURE.write_text(draw(results))
    sys.stdout.write(table(results))
