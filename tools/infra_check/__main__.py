"""`python -m tools.infra_check`: see the package."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools.infra_check.check import ROOT, check


def main() -> int:
    """Print what is wrong; 0 when nothing is."""
    parser = argparse.ArgumentParser(prog="python -m tools.infra_check", description="Check the templates of infra/.")
    parser.add_argument("--root", type=Path, default=ROOT, help="a copy of the project to check instead of this one")
    root = parser.parse_args().root
    findings = check(root)
    for finding in findings:
        sys.stdout.write(f"{finding}\n")
    sys.stdout.write(f"infra-check: {len(findings)} findings\n" if findings else "infra-check: nothing found\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
