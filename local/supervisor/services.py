"""What the stack is made of: each service's command, environment, and how it says that it is ready and is stopped."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from local.process import PARENT_PID
from local.supervisor.errors import StackError
from local.supervisor.ports import LOOPBACK
from local.supervisor.settings import STORAGE_ACCOUNT

ROOT = Path(__file__).resolve().parents[2]
_AZURITE = ROOT / "local/azurite/node_modules/azurite/dist/src/table/main.js"
_QUEUE_TRIGGER = "serviceBusTrigger"
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


@dataclass(frozen=True)
class Hosts:
    """Makes the Functions hosts: all run the same app under the same settings, each a part of its functions."""

    #: Of the page and the API.
    port: int
    settings: Mapping[str, str] = field(repr=False)
    #: Where hosts keep what Azure keeps in the storage account: timer status and function keys.
    state: Path
    #: Whether callers must present a key of `function_keys`.
    auth: bool

    @property
    def function_keys(self) -> Path:
        """Where the hosts read the keys that hold for every function."""
        return self.state / "secrets/host.json"

    def shared(self, workers: int) -> list[Service]:
        """One host for HTTP and timers, and `workers` more that each serve every queue."""
        names = ["worker"] if workers == 1 else [f"worker-{number}" for number in range(1, workers + 1)]
        return [self._front("front", "http", "timer"), *(self._host(name, "servicebus") for name in names)]

    def flex(self, functions: Sequence[Function]) -> list[Service]:
        """A host for each function group, as Flex Consumption scales them: HTTP, timers, each queue's function."""
        queues = [function.name for function in functions if function.trigger == _QUEUE_TRIGGER]
        return [
            self._front("http", "http"),
            self._host("timer", "timer"),
            *(self._host(name, f"function:{name}") for name in queues),
        ]

    def _front(self, name: str, *groups: str) -> Service:
        page = ("--static", str(PAGE)) if PAGE.is_dir() else ()
        return self._host(name, *groups, port=self.port, options=(*page, *(("--auth",) if self.auth else ())))

    def _host(self, name: str, *groups: str, port: int = 0, options: Sequence[str] = ()) -> Service:
        selected = [word for group in groups for word in ("--group", group)]
        where = ("--app", str(ROOT), "--port", str(port), "--state", str(self.state))
        return Service(name, _local("host", *where, *selected, *options), self.settings, is_host=True)


def list_command() -> tuple[str, ...]:
    """Prints the app's functions as a JSON array of objects with name and trigger."""
    return _local("host", "--app", str(ROOT), "--list")


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment, what makes a Python service stop when this process dies, and `extra`."""
    return {**os.environ, PARENT_PID: str(os.getpid()), **extra}


def _local(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "local", *words)
