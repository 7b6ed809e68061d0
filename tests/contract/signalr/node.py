"""Real @microsoft/signalr clients, many in one node process (driver.cjs)."""

from __future__ import annotations

import itertools
import json
import queue
import shutil
import subprocess
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Node:
    """The process that holds the clients."""

    def __init__(self) -> None:
        if not (HERE / "node_modules" / "@microsoft" / "signalr").is_dir():
            raise AssertionError("The SignalR client is not installed: run `npm ci --prefix tests/contract/signalr`.")
        node = shutil.which("node")
        if node is None:
            raise AssertionError("The contract suite of SignalR needs Node.js 20 or newer on the PATH.")
        self._process = subprocess.Popen(
            [node, str(HERE / "driver.cjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._clients: dict[str, NodeClient] = {}
        self._names = map(str, itertools.count())
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def start(self, url: str, *, token: str | None = None, **options: Any) -> NodeClient:
        """A client that starts to connect to `url`; `options` are set on its HubConnection."""
        client = NodeClient(self, next(self._names))
        self._clients[client.name] = client
        self.command("start", client.name, url=url, token=token, options=options)
        return client

    def command(self, operation: str, name: str, **details: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"op": operation, "name": name, **details}) + "\n")
        self._process.stdin.flush()

    def stop_clients(self) -> None:
        for name in self._clients:
            self.command("stop", name)
        for client in self._clients.values():
            client.next("stopped")
        self._clients = {}

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        finally:
            self._process.kill()
            self._reader.join()
            assert self._process.stdout is not None
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            client = self._clients.get(event["name"])
            if client is not None:
                client.events[event["event"]].put(event)


class NodeClient:
    """One connection and the events that it reported: those of driver.cjs."""

    def __init__(self, node: Node, name: str) -> None:
        self._node = node
        self.name = name
        self.events: defaultdict[str, queue.Queue[dict[str, Any]]] = defaultdict(queue.Queue)

    def next(self, event: str, timeout: float = 10) -> dict[str, Any]:
        """The next event of a kind that nobody took yet; AssertionError when it does not come."""
        try:
            return self.events[event].get(timeout=timeout)
        except queue.Empty:
            seen = {kind: events.qsize() for kind, events in self.events.items()}
            raise AssertionError(f"no event {event!r} within {timeout} s; untaken events: {seen}") from None

    def connected(self) -> str:
        """Wait for the connection; returns its id."""
        return str(self.next("connected")["id"])

    def received(self) -> Any:
        """The arguments of the next message."""
        return self.next("message")["args"]

    def invoke(self, method: str, *arguments: Any) -> None:
        self._node.command("invoke", self.name, method=method, args=arguments)

    def send(self, method: str, *arguments: Any) -> None:
        self._node.command("send", self.name, method=method, args=arguments)
