"""`python -m local servicebus`: run the Service Bus emulator alone."""

from __future__ import annotations

import argparse
import logging
import os
import sqlite3
import sys
from functools import partial
from pathlib import Path

from local.process import configure_logging, run_service
from local.servicebus import config
from local.servicebus.cbs import POLICY
from local.servicebus.server import serve

logger = logging.getLogger(__name__)

KEY_VARIABLE = "SERVICEBUS_KEY"
DEFAULT_CONFIG = Path(__file__).resolve().parent.parent / "Config.json"


def main(argv: list[str]) -> int:
    """Serve until a signal; 2 where the setup is wrong, with its fix on stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m local servicebus",
        description=f"A Service Bus emulator: queues over AMQP and the admin API on one port. The key of the policy "
        f"{POLICY} comes from the environment variable {KEY_VARIABLE}.",
    )
    parser.add_argument("--port", type=int, default=5672, help="port on 127.0.0.1; 0 picks a free one (default 5672)")
    parser.add_argument(
        "--data", type=Path, default=Path(".local/servicebus.db"), help="the SQLite file to keep all in"
    )
    parser.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, help="queue definitions (default local/Config.json)"
    )
    options = parser.parse_args(argv)
    configure_logging()
    key = os.environ.get(KEY_VARIABLE)
    if not key:
        sys.stderr.write(f"servicebus: set {KEY_VARIABLE} to the key that clients have in their connection string.\n")
        return 2
    try:
        queues = config.load(options.config)
        options.data.parent.mkdir(parents=True, exist_ok=True)
        return run_service(partial(serve, port=options.port, data=options.data, queues=queues, key=key))
    except config.ConfigError as error:
        sys.stderr.write(f"servicebus: {error}\n")
    except OSError as error:
        sys.stderr.write(f"servicebus: {error}; choose another --port, --data or --config.\n")
    except sqlite3.Error as error:
        sys.stderr.write(f"servicebus: {options.data} is no usable database: {error}; choose another --data.\n")
    return 2
