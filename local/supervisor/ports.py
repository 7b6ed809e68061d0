"""TCP ports on 127.0.0.1: which are free, who holds one, and which the services of a data directory use."""

from __future__ import annotations

import errno
import os
import random
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from local.supervisor.errors import StackError

LOOPBACK = "127.0.0.1"
#: Below the range from which Linux and macOS take the ports of outgoing connections: one of those must never sit on a
#: service's port while that service is being restarted.
_RANGE = range(20000, 32000)
_LISTEN = "0A"  # the state column of /proc/net/tcp: proc_pid_net(5)


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` now (a connection of the past in TIME_WAIT does not hinder it)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                return False
            raise
    return True


def require_free(port: int) -> None:
    """Raise StackError that names who holds `port` and the way out, when somebody does."""
    if is_free(port):
        return
    if port < 1024 and holder(port) is None:
        raise StackError(f"port {port} needs the rights of root; use --port 7071 or another above 1023.")
    by = holder(port) or "another program"
    raise StackError(f"port {port} is in use by {by}; use --port 0 for any free one, or stop it.")


def choose(names: Iterable[str], remembered: Mapping[str, object], front: int) -> dict[str, int]:
    """A free port for each name: the remembered one where it is still free, so that clients keep their settings.

    `front` is the port that the stack itself serves on, 0 for any; it comes back under that name.
    """
    chosen = {"front": front or _any_free(())}
    for name in names:
        port = remembered.get(name)
        if not isinstance(port, int) or port in chosen.values() or not is_free(port):
            port = _any_free(chosen.values())
        chosen[name] = port
    return chosen


def _any_free(taken: Iterable[int]) -> int:
    for _ in range(1000):
        port = random.choice(_RANGE)  # noqa: S311 - any port will do, no secret hangs on it
        if port not in taken and is_free(port):
            return port
    raise StackError(f"no free port found between {_RANGE.start} and {_RANGE.stop}; stop what holds them.")


def holder(port: int) -> str | None:
    """`pid N (command line)` of the process that listens on `port`; None where it cannot be told (Linux only)."""
    if not sys.platform.startswith("linux"):
        return None
    inodes = set(_listening_inodes(port))
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if descriptor.readlink().name not in inodes:
                continue
            process = descriptor.parent.parent
            words = (process / "cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
        except OSError:
            continue  # closed or gone meanwhile
        return f"pid {process.name} ({' '.join(words).strip()[:100]})"
    return None


def _listening_inodes(port: int) -> Iterable[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):  # noqa: PTH110 - a kernel without IPv6 has no tcp6
            continue
        for row in Path(table).read_text(encoding="ascii").splitlines()[1:]:
            fields = row.split()
            if fields[3] == _LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                yield f"socket:[{fields[9]}]"
