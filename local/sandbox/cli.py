"""`python -m local sandbox [--port 9000]`: the sandbox of the public APIs, on loopback only."""

from __future__ import annotations

import argparse

from local.process import configure_logging
from local.sandbox.server import build_app
from local.web import run_app


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=9000, help="port on 127.0.0.1; 0 picks a free one (default 9000)")
    port: int = parser.parse_args(argv).port
    configure_logging()
    return run_app("sandbox", build_app, port, shutdown_seconds=1)
