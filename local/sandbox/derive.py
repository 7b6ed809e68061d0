"""Numbers that look arbitrary and are always the same for the same input."""

from __future__ import annotations

import hashlib


def fraction(*parts: object) -> float:
    """A number in [0, 1) that `parts`, and nothing else, decide."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def whole(low: int, high: int, *parts: object) -> int:
    """A whole number from `low` to `high`, both included, that `parts` decide."""
    return low + int(fraction(*parts) * (high - low + 1))
