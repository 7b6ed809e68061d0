"""`python -m local env`: the running stack's settings as KEY=VALUE lines."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from local.supervisor.errors import StackError
from local.supervisor.state import running_settings


def main(argv: list[str]) -> int:
    """Print the settings and return 0; say on stderr why there are none and return 1."""
    parser = argparse.ArgumentParser(prog="python -m local env", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".local"), metavar="DIR", help="default: .local")
    directory = parser.parse_args(argv).data
    try:
        settings = running_settings(directory)
    except (LookupError, StackError) as error:
        sys.stderr.write(f"local env: {error.args[0]}\n")
        return 1
    sys.stdout.write("".join(f"{name}={value}\n" for name, value in settings.items()))
    return 0
