"""What the stack is made of: each service's command, environment, and how it says that it is ready and is stopped."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.supervisor.errors import StackError
from local.supervisor.ports import LOOPBACK
from local.supervisor.settings import STORAGE_ACCOUNT

ROOT = Path(__file__).resolve().parents[2]
_AZURITE = ROOT / "local/azurite/node_modules/azurite/dist/src/table/main.js"
PAGE = ROOT / "static-ui/dist"


@dataclass(frozen=True)
class Service:
    """One process of the stack. Its secrets travel in `environment`, never in `command`, which `ps` shows to all."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(repr=False)
    #: A port that answers once the service is ready; None for one that prints `ready URL`.
    answering_port: int | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    #: Hosts stop first: what they are running may still need every other service.
    is_host: bool = False


@dataclass(frozen=True)
class Function:
    """A function of the app, as `python -m local host --list` reports it."""

    name: str
    trigger: str


def service_names(*, live: bool) -> tuple[str, ...]:
    """The services that need a port of their own."""
    return ("servicebus", "cosmos", "signalr", "azurite") + (() if live else ("sandbox",))


def emulators(directory: Path, ports: Mapping[str, int], keys: Mapping[str, str]) -> list[Service]:
    """The services that the function app talks to."""

    def python(name: str, *options: str, **environment: str) -> Service:
        return Service(name, _local(name, "--port", str(ports[name]), *options), environment)

    services = [
        python("servicebus", "--data", str(directory / "servicebus.db"), SERVICEBUS_KEY=keys["servicebus"]),
        python("cosmos", "--data", str(directory / "cosmos.db"), COSMOS_KEY=keys["cosmos"]),
        python("signalr", SIGNALR_KEY=keys["signalr"]),
        _azurite(directory / "azurite", ports["azurite"], keys["azurite"]),
    ]
    return [*services, python("sandbox")] if "sandbox" in ports else services


def _azurite(location: Path, port: int, key: str) -> Service:
    if not _AZURITE.exists():
        raise StackError(f"Azurite is not installed: there is no {_AZURITE.relative_to(ROOT)}. Run `make setup`.")
    command = (
        "node",
        # Short-lived request garbage fits 1 MiB; node's default of 16 costs 12 MB of memory and saves no time here.
        "--max-semi-space-size=1",
        str(_AZURITE),
        *("--tableHost", LOOPBACK, "--tablePort", str(port), "--location", str(location)),
        *("--silent", "--disableTelemetry", "--skipApiVersionCheck"),
    )
    return Service(
        "azurite",
        command,
        {"AZURITE_ACCOUNTS": f"{STORAGE_ACCOUNT}:{key}"},
        answering_port=port,
        # Azurite's table program writes its file on SIGINT alone: a SIGTERM loses up to 5 s of acknowledged writes.
        stop_signal=signal.SIGINT,
    )


def shared_hosts(port: int, settings: Mapping[str, str], *, workers: int, auth: bool) -> list[Service]:
    """One host for HTTP and timers, and `workers` more that each serve every queue."""
    front = _host("front", settings, "--group", "http", "--group", "timer", *_front_options(port, auth=auth))
    names = ["worker"] if workers == 1 else [f"worker-{number}" for number in range(1, workers + 1)]
    return [front, *(_host(name, settings, "--group", "servicebus", "--port", "0") for name in names)]


def flex_hosts(port: int, settings: Mapping[str, str], functions: list[Function], *, auth: bool) -> list[Service]:
    """A host for each function group, as Flex Consumption scales them: HTTP, timers, and each queue's function."""
    hosts = [
        _host("http", settings, "--group", "http", *_front_options(port, auth=auth)),
        _host("timer", settings, "--group", "timer", "--port", "0"),
    ]
    for function in functions:
        if function.trigger == "servicebus":
            hosts.append(_host(function.name, settings, "--group", f"function:{function.name}", "--port", "0"))
    return hosts


def list_command() -> tuple[str, ...]:
    """Prints the app's functions as JSON rows."""
    return _local("host", "--app", str(ROOT), "--list")


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, with what a Python service needs to log at once, to die with us, and `extra`."""
    return {**os.environ, "PYTHONUNBUFFERED": "1", "LOCAL_PARENT_PID": str(os.getpid()), **extra}


def _front_options(port: int, *, auth: bool) -> tuple[str, ...]:
    page = ("--static", str(PAGE)) if PAGE.is_dir() else ()
    return ("--port", str(port), *page, *(("--auth",) if auth else ()))


def _host(name: str, settings: Mapping[str, str], *options: str) -> Service:
    return Service(name, _local("host", "--app", str(ROOT), *options), settings, is_host=True)


def _local(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "local", *words)
