"""The product under faults: every service a process of its own behind a fault proxy, restarted whenever it dies."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import requests

from local.process import PARENT_PID
from local.supervisor import ports
from local.supervisor.services import emulators
from local.supervisor.settings import app_settings
from tests.chaos.history import History
from tests.services import ROOT, Service, start_service

APP = ROOT / "tests/chaos/app"
LEASE_SECONDS = 3
#: The broker's locks, which is how long a dead worker's messages are hidden; the host renews them at half.
LOCK_SECONDS = 5
_STOP_SECONDS = 40
#: A harness that is killed leaves nothing running, whatever stands still.
_ORPHANS_STOP = {PARENT_PID: str(os.getpid())}
#: A port on which nothing listens: discard, which needs rights that a test has not.
_NOBODY = 9
_SERVICES = ("servicebus", "azurite", "cosmos")
_PROTOCOLS = {"servicebus": "tcp", "azurite": "http", "cosmos": "http"}


#: A process that is ready, and the lines that it logs.
Started = tuple["subprocess.Popen[str]", list[str]]


class Process:
    """A process that is started again whenever it ends, until `stop`. Its logs are added to `log` when it ends."""

    def __init__(self, name: str, start: Callable[[], Started], log: Path) -> None:
        self.name = name
        self._log = log
        self.deaths = 0
        self._start = start
        self._wanted = True
        self._up = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._keeper = threading.Thread(target=self._keep, name=name, daemon=True)
        self._keeper.start()

    def wait_up(self, deaths: int = 0, seconds: float = 90) -> None:
        """Return once it is ready, after at least so many deaths. Raises AssertionError."""
        with self._up:
            ready = self._up.wait_for(lambda: self._process is not None and self.deaths >= deaths, seconds)
        assert ready, f"{self.name} is not up within {seconds} s, after {self.deaths} deaths"

    def send(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to what runs now; the number of deaths that there will be if it dies of it, or that there are
        already, if it is down at this moment."""
        with self._up:
            if self._process is None:
                return self.deaths
            self._process.send_signal(number)
            return self.deaths + 1

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """End it for good; its exit status."""
        with self._up:
            self._wanted = False
            process = self._process
            if process is not None:
                process.send_signal(number)
        self._keeper.join(_STOP_SECONDS)
        if process is None:
            return None
        if process.poll() is None:
            process.kill()
        return process.wait()

    def _kill_if_unwanted(self, process: subprocess.Popen[str]) -> None:
        if not self._wanted:
            process.kill()

    def _keep(self) -> None:
        while self._wanted:
            try:
                process, lines = self._start()
            except AssertionError:
                continue  # it died or hung while it started, of a fault that is staged
            with self._up:
                self._process = process
                self._up.notify_all()
                self._kill_if_unwanted(process)
            status = process.wait()
            with self._log.open("a") as file:
                file.writelines(f"{line}\n" for line in [*lines, f"--- {self.name} ended with {status}"])
            with self._up:
                self._process = None
                self.deaths += 1


class Proxy:
    """A fault proxy and its control port."""

    def __init__(self, listen: int, control: int, target: int, protocol: str, seed: int) -> None:
        self._control = control
        self._service = start_service(
            *("faults", "--listen", str(listen), "--target", f"127.0.0.1:{target}"),
            *("--protocol", protocol, "--control", str(self._control), "--seed", str(seed)),
            env=_ORPHANS_STOP,
        )

    @property
    def pid(self) -> int:
        return self._service.process.pid

    def rules(self, *rules: Mapping[str, Any]) -> None:
        """What an HTTP proxy does from now on."""
        self._ask("PUT", "/rules", list(rules))

    def mode(self, **mode: Any) -> None:
        """What a TCP proxy does from now on."""
        self._ask("PUT", "/mode", mode)

    def drop(self) -> int:
        """Reset a TCP proxy's connections; how many."""
        return int(self._ask("POST", "/drop")["dropped"])

    def counts(self) -> dict[str, int]:
        """How often each fault struck."""
        return dict(self._ask("GET", "/")["counts"])

    def stop(self) -> None:
        self._service.stop()

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = requests.request(method, f"http://127.0.0.1:{self._control}{path}", json=body, timeout=10)
        assert answer.ok, answer.text
        return dict(answer.json())


class ChaosStack:
    """Service Bus, Cosmos DB and Table Storage, each behind a proxy; one front host and some workers.

    There is no SignalR service at all: jobs must not care. `worker_env` gives each worker settings of its own.
    """

    def __init__(
        self,
        folder: Path,
        seed: int,
        worker_env: list[dict[str, str]] | None = None,
        front_env: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.history = History(folder / "history.jsonl")
        self.rng = random.Random(seed)
        places = ports.choose(
            [f"{kind}-{name}" for kind in ("direct", "proxy", "control") for name in _SERVICES], {}, 0
        )
        self._direct = {name: places[f"direct-{name}"] for name in _SERVICES}
        through = {name: places[f"proxy-{name}"] for name in _SERVICES}
        self._keys = {name: base64.b64encode(self.rng.randbytes(32)).decode() for name in (*_SERVICES, "signalr")}
        self.direct_settings = app_settings({**self._direct, "signalr": _NOBODY}, self._keys)
        self.url = f"http://127.0.0.1:{places['front']}"
        self.services: dict[str, Process] = {}
        self.proxies: dict[str, Proxy] = {}
        self.hosts: list[Process] = []
        try:
            for name in _SERVICES:
                self.services[name] = self._process(name, self._starter(name))
            for name in _SERVICES:
                target, control = self._direct[name], places[f"control-{name}"]
                self.proxies[name] = Proxy(through[name], control, target, _PROTOCOLS[name], seed)
                self.services[name].wait_up()
            settings = {
                **app_settings({**through, "signalr": _NOBODY}, self._keys),
                "DTQ_LEASE_SECONDS": str(LEASE_SECONDS),
                "CHAOS_FOLDER": str(folder),
                **(env or {}),
            }
            front = self._host({**settings, **(front_env or {})}, "http", "timer", port=places["front"])
            self.hosts.append(self._process("front", front))
            for extra in worker_env or [{}]:
                worker = self._host({**settings, "CHAOS_MAY_CRASH": "1", **extra}, "servicebus")
                self.hosts.append(self._process("worker", worker))
            for host in self.hosts:
                host.wait_up()
        except BaseException:
            self.stop()
            raise

    @property
    def workers(self) -> list[Process]:
        """The hosts that run jobs."""
        return self.hosts[1:]

    def kill(self, name: str) -> None:
        """kill -9 of a service, which starts again at once; returns when it is up."""
        if name == "azurite":
            self.history.record("table_killed")
        process = self.services[name]
        process.wait_up(process.send())

    def busy(self, sends: int) -> None:
        """The next so many sends to the broker are refused with 50009."""
        token = _access_token(f"sb://127.0.0.1:{self._direct['servicebus']}", self._keys["servicebus"])
        url = f"http://127.0.0.1:{self._direct['servicebus']}/$faults?server_busy={sends}"
        answer = requests.put(url, headers={"Authorization": token}, timeout=10)
        assert answer.ok, answer.text

    def calm(self) -> None:
        """No more faults from now on."""
        for name in ("azurite", "cosmos"):
            self.proxies[name].rules()
        self.proxies["servicebus"].mode()
        self.busy(0)

    def janitor(self) -> None:
        """Have the janitor make its round now."""
        with contextlib.suppress(requests.RequestException):
            requests.post(f"{self.url}/admin/functions/janitor", json={"input": ""}, timeout=10)

    def stop(self) -> None:
        """End everything."""
        for group in (self.hosts, self.services.values()):
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda process: process.stop(signal.SIGKILL), group))
        for proxy in self.proxies.values():
            proxy.stop()

    def _process(self, name: str, start: Callable[[], Started]) -> Process:
        return Process(name, start, self.folder / "processes.log")

    def _starter(self, name: str) -> Callable[[], Started]:
        port = self._direct[name]
        if name == "azurite":
            return self._start_azurite
        config: tuple[str, ...] = ()
        if name == "servicebus":
            config = ("--config", str(self._queue_config()))
        arguments = (name, "--port", str(port), "--data", str(self.folder / f"{name}.db"), *config)
        env = {**_ORPHANS_STOP, f"{name.upper()}_KEY": self._keys[name]}
        return lambda: _started(start_service(*arguments, env=env))

    def _queue_config(self) -> Path:
        """The product's queues with short locks."""
        config = json.loads((ROOT / "local/Config.json").read_text())
        for queue in config["UserConfig"]["Namespaces"][0]["Queues"]:
            queue["Properties"]["LockDuration"] = f"PT{LOCK_SECONDS}S"
        path = self.folder / "Config.json"
        path.write_text(json.dumps(config))
        return path

    def _start_azurite(self) -> Started:
        services = emulators(self.folder, {**self._direct, "signalr": _NOBODY}, self._keys)
        service = next(each for each in services if each.name == "azurite")
        process = subprocess.Popen(
            service.command,
            cwd=ROOT,
            env={**os.environ, **service.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self._direct["azurite"]), timeout=1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return process, []
        process.kill()
        process.wait()
        raise AssertionError("Azurite did not start")

    def _host(self, settings: Mapping[str, str], *groups: str, port: int = 0) -> Callable[[], Started]:
        selected = [word for group in groups for word in ("--group", group)]
        arguments = (
            "--app",
            str(APP),
            "--port",
            str(port),
            "--state",
            str(self.folder / "host"),
            "--drain-seconds",
            "5",
        )

        words = ("host", *arguments, *selected, "--log-level", "warning")
        return lambda: _started(start_service(*words, env={**_ORPHANS_STOP, **settings}, timeout=60))


def _started(service: Service) -> Started:
    return service.process, service.log


def _access_token(resource: str, key: str) -> str:
    """A shared access signature (see local/servicebus/cbs.py) that holds for an hour."""
    name, expiry = quote_plus(resource), int(time.time()) + 3600
    signature = hmac.digest(key.encode(), f"{name}\n{expiry}".encode(), hashlib.sha256)
    signed = quote_plus(base64.b64encode(signature))
    return f"SharedAccessSignature sr={name}&sig={signed}&se={expiry}&skn=RootManageSharedAccessKey"


@contextlib.contextmanager
def chaos_stack(folder: Path, seed: int, **options: Any) -> Iterator[ChaosStack]:
    """A stack for the length of a `with` block."""
    stack = ChaosStack(folder, seed, **options)
    try:
        yield stack
    finally:
        stack.stop()
