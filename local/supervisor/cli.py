"""`python -m local up`: the whole stack in the foreground."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from local.process import die_with_parent
from local.supervisor import keys, services
from local.supervisor.datadir import DataDirectory, read_json, write_private
from local.supervisor.errors import ServiceGaveUpError, StackError
from local.supervisor.log import Log
from local.supervisor.ports import LOOPBACK, choose, require_free
from local.supervisor.settings import app_settings
from local.supervisor.stack import Stack, list_functions
from local.supervisor.state import StateFile, stop_leftovers

_PORTS_FILE = "ports.json"


def main(argv: list[str]) -> int:
    """Run the stack to its end. 0 after an orderly stop, 1 when a service gave up, 2 when it could not be started."""
    options = _parse(argv)
    die_with_parent()
    directory = DataDirectory(options.data)
    try:
        directory.acquire()
        return asyncio.run(_up(directory.path, options))
    except StackError as error:
        sys.stderr.write(f"local up: {error}\n")
        return 2
    except ServiceGaveUpError:
        return 1  # the log has said it at once
    finally:
        directory.release()


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local up", description=__doc__)
    parser.add_argument(
        "--port", type=_port, default=7071, help="of the page and the API; 0: a free one (default: 7071)"
    )
    parser.add_argument("--data", type=Path, default=Path(".local"), metavar="DIR", help="default: .local")
    parser.add_argument("--live", action="store_true", help="call the real public APIs, not the sandbox")
    parser.add_argument(
        "--workers", type=_count, default=1, metavar="N", help="queue hosts in layout shared (default: 1)"
    )
    parser.add_argument(
        "--layout",
        choices=("shared", "flex"),
        default="shared",
        help="shared: one host for HTTP and timers, N for the queues; flex: a host for each function group, as Azure",
    )
    parser.add_argument("--auth", action="store_true", help="ask for function keys, as Azure does")
    options = parser.parse_args(argv)
    if options.layout == "flex" and options.workers != 1:
        parser.error("--workers is for --layout shared; in flex each function group has one host.")
    return options


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"{text!r}: give 1 to 64")
    return int(text)


async def _up(directory: Path, options: argparse.Namespace) -> int:
    leftovers = stop_leftovers(directory)
    ports = _ports(directory, options)
    secrets = keys.load_or_create(directory / "keys.json")
    settings = app_settings(ports, secrets)
    url = f"http://{LOOPBACK}:{ports['front']}"
    emulators = services.emulators(directory, ports, secrets)

    hosts = services.Hosts(ports["front"], settings, directory / "host", options.auth)
    if options.auth:
        keys.ensure_function_keys(hosts.function_keys)

    async def make_hosts() -> Sequence[services.Service]:
        if options.layout == "flex":
            return hosts.flex(await list_functions(settings))
        return hosts.shared(options.workers)

    log = Log()
    if leftovers:
        log.own(f"stopped what an earlier stack left: {', '.join(leftovers)}")
    state = StateFile(directory, {**settings, "DTQ_URL": url})
    stack = Stack(log, state)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup has it ignored
            loop.add_signal_handler(number, stack.on_signal, number)

    def announce(seconds: float) -> None:
        state.ready(url)
        sys.stdout.write(f"ready {url}\n{_welcome(url, directory, options, seconds)}")
        sys.stdout.flush()

    try:
        return await stack.run(emulators, make_hosts, announce)
    finally:
        state.remove()


def _ports(directory: Path, options: argparse.Namespace) -> dict[str, int]:
    """Each service's port: the wanted one for the front, else the one it had on this directory, else any free one."""
    if options.port:
        require_free(options.port)
    remembered = read_json(directory / _PORTS_FILE)
    ports = choose(services.service_names(live=options.live), remembered, options.port)
    write_private(directory / _PORTS_FILE, remembered | ports)
    return ports


def _welcome(url: str, directory: Path, options: argparse.Namespace, seconds: float) -> str:
    page = url if services.PAGE.is_dir() else "not built; `make setup` builds it"
    providers = (
        "live: Open-Meteo, quotes, Frankfurter, GitHub" if options.live else "sandbox (--live for the real ones)"
    )
    return f"""
  Page       {page}
  API        {url}/api/v1
  Providers  {providers}
  Data       {directory}
  Settings   python -m local env --data {directory}
  Stop       Ctrl-C (ready after {seconds:.1f} s)

"""
