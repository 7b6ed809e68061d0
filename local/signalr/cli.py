"""`python -m local signalr [--port 8888]`: the SignalR emulator, on loopback only; its access key is SIGNALR_KEY."""

from __future__ import annotations

import argparse
import os

from local.process import configure_logging
from local.signalr.server import build_app
from local.web import run_app

_KEY = "SIGNALR_KEY"


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local signalr", description=__doc__)
    parser.add_argument("--port", type=int, default=8888, help="port on 127.0.0.1; 0 picks a free one (default 8888)")
    parser.add_argument(
        "--ping-seconds",
        type=float,
        default=15,
        help="ping a client that heard nothing for so long, and drop one silent for twice that (default 15, as Azure); "
        "a test of silence sets less",
    )
    options = parser.parse_args(argv)
    key = os.environ.get(_KEY)
    if not key:
        parser.error(f"set the environment variable {_KEY} to the access key, the AccessKey of the connection string.")
    if options.ping_seconds <= 0:
        parser.error("--ping-seconds must be more than 0.")
    configure_logging()
    return run_app("signalr", lambda: build_app(key, options.ping_seconds), options.port, shutdown_seconds=3)
