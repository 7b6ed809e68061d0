"""`python -m local COMMAND`: one entry for every local service; a command is imported only when asked for."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "up": ("local.supervisor.cli", "start the whole stack in the foreground"),
    "env": ("local.supervisor.env", "print the running stack's settings as KEY=VALUE lines"),
    "host": ("local.host.cli", "run the Functions host alone on any Python v2 function app"),
    "servicebus": ("local.servicebus.cli", "run the Service Bus emulator alone"),
    "cosmos": ("local.cosmos.cli", "run the Cosmos DB emulator alone"),
    "signalr": ("local.signalr.cli", "run the SignalR emulator alone"),
    "faults": ("local.faults.cli", "run a fault proxy in front of one service"),
    "sandbox": ("local.sandbox.cli", "run the sandbox of the public APIs alone"),
}


def usage() -> str:
    rows = "\n".join(f"  {name:<11} {text}" for name, (_, text) in COMMANDS.items())
    return f"usage: python -m local COMMAND [options]\n\n{rows}\n\n`python -m local COMMAND --help` lists its options."


def main(argv: list[str]) -> int:
    if not argv or argv[0] in {"-h", "--help", "help"}:
        sys.stdout.write(usage() + "\n")
        return 0
    if argv[0] not in COMMANDS:
        sys.stderr.write(f"local: there is no command {argv[0]!r}.\n\n{usage()}\n")
        return 2
    run = importlib.import_module(COMMANDS[argv[0]][0]).main
    return int(run(argv[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
