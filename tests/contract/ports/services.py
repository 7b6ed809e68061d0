"""How the adapters reach the local services: the keys these are started with, and connections for a port."""

from __future__ import annotations

import socket

from shared.config import Connection

_KEY = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw=="
KEYS = {"COSMOS_KEY": _KEY, "SERVICEBUS_KEY": _KEY, "SIGNALR_KEY": _KEY}


def tables(port: int) -> Connection:
    endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
    return Connection(f"AccountName=devstoreaccount1;AccountKey={_KEY};TableEndpoint={endpoint};")


def cosmos(port: int) -> Connection:
    return Connection(f"AccountEndpoint=http://127.0.0.1:{port}/;AccountKey={_KEY};")


def service_bus(port: int) -> Connection:
    return Connection(
        f"Endpoint=sb://127.0.0.1:{port};SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey={_KEY};"
        "UseDevelopmentEmulator=true;"
    )


def signalr(port: int) -> Connection:
    return Connection(f"Endpoint=http://127.0.0.1;Port={port};AccessKey={_KEY};Version=1.0;")


def nobodys_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
