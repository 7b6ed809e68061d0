"""`python -m local cosmos`: the emulator as a process."""

from __future__ import annotations

import argparse
import asyncio
import base64
import binascii
import os
import sys
from pathlib import Path

from local import process
from local.cosmos.query.reader import Reader
from local.cosmos.server import Gateway, serving
from local.cosmos.store import Store

KEY = "COSMOS_KEY"
#: A query's worker thread hands the interpreter over this often (Python's default is 5 ms), so that point operations,
#: which wait for it a few times each, stay quick beside it.
SWITCH_SECONDS = 0.001


def main(argv: list[str]) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local cosmos",
        description="Emulator of Azure Cosmos DB for NoSQL. Clients connect with "
        f"AccountEndpoint=http://127.0.0.1:PORT/;AccountKey=KEY; where KEY is the value of the variable {KEY}.",
    )
    parser.add_argument("--port", type=int, default=8081, help="0 picks a free one (default: %(default)s)")
    parser.add_argument("--data", type=Path, required=True, metavar="FILE.db", help="SQLite file that keeps the data")
    options = parser.parse_args(argv)
    key = _account_key()
    process.configure_logging()
    sys.setswitchinterval(SWITCH_SECONDS)
    return process.run_service(lambda stop: _serve(stop, options.port, options.data, key))


def _account_key() -> bytes:
    text = os.environ.get(KEY, "")
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error:
        key = b""
    if not key:
        sys.exit(
            f"local cosmos: set {KEY} to the account key, base64; for a new one: openssl rand -base64 64 | tr -d '\\n'"
        )
    return key


async def _serve(stop: asyncio.Event, port: int, file: Path, key: bytes) -> None:
    store = Store(file)
    reader = Reader(file)
    try:
        async with serving(Gateway(store, reader, key), port) as bound:
            process.announce(f"http://127.0.0.1:{bound}")
            await stop.wait()
    except OSError as error:
        sys.exit(f"local cosmos: cannot serve on port {port}: {error.strerror}. Stop what uses it or choose --port.")
    finally:
        reader.close()
        store.close()
