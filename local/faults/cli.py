"""`python -m local faults`: a fault proxy as a process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from local.faults.control import Control
from local.faults.http1 import MAX_HEAD
from local.faults.http_proxy import HttpProxy
from local.faults.rules import Rule, Rules
from local.faults.tcp_proxy import Mode, TcpProxy
from local.process import announce, configure_logging, run_service

logger = logging.getLogger("faults")

HOST = "127.0.0.1"
_EPILOG = """\
The control port takes JSON.
  any protocol   GET /            what is in force, and how often each fault struck
  http           PUT /rules       [{"fault": "answer", "status": 503, "method": "PATCH", "path": "jobs", "times": 3}]
                                  fault: answer (status, headers, body), lose_answer, drop, delay (seconds);
                                  share: 0..1 of the requests that match; times: at most so many, null for ever
  tcp            PUT /mode        {"refuse": false, "freeze": "none|up|down|both", "delay_seconds": 0}
                 POST /drop       reset all connections now
"""
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def main(argv: list[str]) -> int:
    """Run until SIGINT or SIGTERM; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m local faults",
        description="A proxy in front of one service that misbehaves on demand.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listen", type=int, required=True, metavar="PORT", help="0 picks a free one")
    parser.add_argument("--control", type=int, required=True, metavar="PORT", help="where faults are asked for")
    parser.add_argument("--target", type=_address, required=True, metavar="HOST:PORT", help="the service behind")
    parser.add_argument("--protocol", choices=("http", "tcp"), required=True)
    parser.add_argument("--seed", type=int, default=0, help="of what is left to chance (default %(default)s)")
    options = parser.parse_args(argv)
    configure_logging()
    serve = _serve_http if options.protocol == "http" else _serve_tcp
    try:
        return run_service(partial(serve, options=options))
    except OSError as error:
        parser.error(f"cannot listen: {error}; choose another --listen or --control")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


async def _serve_http(stop: asyncio.Event, options: argparse.Namespace) -> None:
    rules = Rules(random.Random(options.seed))  # noqa: S311 - faults, not secrets
    proxy = HttpProxy(options.target, rules)

    async def endpoint(method: str, path: str, body: bytes) -> Any:
        if (method, path) == ("PUT", "/rules"):
            rules.all = msgspec.json.decode(body, type=list[Rule])
        elif (method, path) != ("GET", "/"):
            raise KeyError(path)
        return {"rules": rules.all, "counts": dict(rules.counts)}

    await asyncio.start_server(Control(endpoint).serve, HOST, options.control, limit=MAX_HEAD)
    server = await _listen(proxy.serve, options.listen)
    announce(f"http://{HOST}:{_port(server)}")
    await stop.wait()


async def _serve_tcp(stop: asyncio.Event, options: argparse.Namespace) -> None:
    proxy = TcpProxy(options.target)
    server = await _listen(proxy.serve, options.listen)
    port = _port(server)

    async def endpoint(method: str, path: str, body: bytes) -> Any:
        nonlocal server
        dropped = 0
        if (method, path) == ("PUT", "/mode"):
            mode = msgspec.json.decode(body, type=Mode)
            if mode.refuse:
                server.close()
            elif not server.is_serving():
                server = await _listen(proxy.serve, port)
            proxy.set_mode(mode)
        elif (method, path) == ("POST", "/drop"):
            dropped = proxy.drop_all()
        elif (method, path) != ("GET", "/"):
            raise KeyError(path)
        return {"mode": proxy.mode, "dropped": dropped, "counts": dict(proxy.counts)}

    await asyncio.start_server(Control(endpoint).serve, HOST, options.control, limit=MAX_HEAD)
    announce(f"tcp://{HOST}:{port}")
    await stop.wait()


async def _listen(serve: Serve, port: int) -> asyncio.Server:
    return await asyncio.start_server(serve, HOST, port, limit=MAX_HEAD)


def _port(server: asyncio.Server) -> int:
    port: int = server.sockets[0].getsockname()[1]
    return port
