"""The board of the demo: each job's progress as a bar, redrawn in place on a terminal, else a line for each change."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MILESTONES = frozenset({20, 50, 80, 100})
_TERMINAL = frozenset({"completed", "failed", "cancelled"})
_BAR = 20  # characters


@dataclass
class _Row:
    job_id: str = ""
    state: str = "waiting"
    progress: int = 0
    message: str = ""
    seen: set[int] = field(default_factory=set)


class Board:
    """One row for each name, in their order."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = list(names)
        self._rows = {name: _Row() for name in names}
        self._width = max(map(len, names), default=0)
        self._redraws = sys.stdout.isatty()
        self._drawn = False

    @property
    def finished(self) -> bool:
        return all(row.state in _TERMINAL for row in self._rows.values())

    def add(self, name: str, job_id: str) -> None:
        self._rows[name].job_id = job_id

    def job_id(self, name: str) -> str:
        return self._rows[name].job_id

    def seen(self, name: str) -> set[int]:
        """The values of progress that were shown."""
        return self._rows[name].seen

    def show(self, job: dict[str, Any]) -> None:
        """Draw a change of one of the jobs; others, and repetitions, are passed over."""
        name = next((name for name, row in self._rows.items() if row.job_id == job["job_id"]), None)
        if name is None:
            return
        row = self._rows[name]
        change = (job["state"], job["progress"], job["message"] or "")
        if change == (row.state, row.progress, row.message):
            return
        row.state, row.progress, row.message = change
        row.seen.add(row.progress)
        self._draw(name)

    def _draw(self, changed: str) -> None:
        if not self._redraws:
            sys.stdout.write(f"  {self._line(changed)}\n")
        else:
            if self._drawn:
                sys.stdout.write(f"\x1b[{len(self._rows)}A")  # up to the first row
            columns = shutil.get_terminal_size().columns - 3  # a line that wraps would be two, and the way up wrong
            sys.stdout.writelines(f"\x1b[2K  {self._line(name)[:columns]}\n" for name in self.names)
            self._drawn = True
        sys.stdout.flush()

    def _line(self, name: str) -> str:
        row = self._rows[name]
        filled = row.progress * _BAR // 100
        bar = "█" * filled + "░" * (_BAR - filled)
        return f"{name:<{self._width}}  {bar} {row.progress:3} %  {row.state:<9}  {row.message}"
