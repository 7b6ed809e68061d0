"""A heap whose entries may go stale: cheaper than finding and removing each one that no longer holds."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

_SLACK = 64

Entry = TypeVar("Entry", bound=tuple[float, int] | int)


class LazyHeap(Generic[Entry]):
    """Smallest entry first. `holds` tells whether an entry still means something."""

    def __init__(self, holds: Callable[[Entry], bool]) -> None:
        self._holds = holds
        self._entries: list[Entry] = []

    def __bool__(self) -> bool:
        """Whether there may be an entry that holds; False is certain."""
        return bool(self._entries)

    def push(self, entry: Entry, expected: int) -> None:
        """Add an entry. Stale ones are swept out once they outnumber the `expected` ones."""
        if len(self._entries) > 2 * expected + _SLACK:
            self._entries = [kept for kept in set(self._entries) if self._holds(kept)]
            heapq.heapify(self._entries)
        heapq.heappush(self._entries, entry)

    def first(self) -> Entry | None:
        """The smallest entry that holds."""
        while self._entries:
            if self._holds(self._entries[0]):
                return self._entries[0]
            heapq.heappop(self._entries)
        return None

    def pop(self) -> None:
        """Remove what `first` gave."""
        heapq.heappop(self._entries)
