"""One readable log of every service: each line behind its service's aligned name, coloured on a terminal only."""

from __future__ import annotations

import os
import sys

#: The supervisor's own lines.
OWN = "local"
_COLOURS = (36, 32, 33, 35, 34, 96, 92, 93, 95, 94)  # ANSI foregrounds that read on dark and on light
_BOLD = 1


class Log:
    """Writes to stderr; stdout is kept for the `ready` line."""

    def __init__(self) -> None:
        self._colours = {OWN: _BOLD}
        self._width = len(OWN)
        self._coloured = sys.stderr.isatty() and "NO_COLOR" not in os.environ

    def introduce(self, name: str) -> None:
        """Give the service a colour, and every line from now on room for its name."""
        self._colours[name] = _COLOURS[len(self._colours) % len(_COLOURS)]
        self._width = max(self._width, len(name))

    def write(self, name: str, line: str) -> None:
        label = f"{name:<{self._width}} |"
        if self._coloured:
            label = f"\x1b[{self._colours[name]}m{label}\x1b[0m"
        try:
            sys.stderr.write(f"{label} {line}\n")
            sys.stderr.flush()
        except OSError:
            # Whoever read the log is gone; the services must not fall with it.
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - stays open to the end

    def own(self, line: str) -> None:
        self.write(OWN, line)
