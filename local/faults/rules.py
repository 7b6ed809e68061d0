"""What an HTTP fault proxy does to which requests."""

from __future__ import annotations

import random
import re
from collections import Counter
from enum import StrEnum

import msgspec


class Fault(StrEnum):
    """What happens to a request that a rule matches."""

    #: The proxy answers; the service never sees the request.
    ANSWER = "answer"
    #: The service does its work, and the connection closes in place of its answer.
    LOSE_ANSWER = "lose_answer"
    #: The connection closes before the service sees the request.
    DROP = "drop"
    #: The request is passed on `seconds` later.
    DELAY = "delay"


class Rule(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One fault: for requests of `method` (any when empty) whose target matches `path` (a regular expression).

    It strikes a `share` of them (0 to 1) and at most `times` in all (None: for ever).
    """

    fault: Fault
    method: str = ""
    path: str = ""
    share: float = 1.0
    times: int | None = None
    status: int = 503
    headers: dict[str, str] = {}
    body: str = ""
    seconds: float = 0.0

    def __post_init__(self) -> None:
        try:
            re.compile(self.path)
        except re.error as error:
            raise ValueError(f"path is not a regular expression: {error}") from error
        if not 0 <= self.share <= 1 or self.seconds < 0 or not 400 <= self.status <= 599:
            raise ValueError("share must be from 0 to 1, seconds at least 0 and status from 400 to 599")


class Rules:
    """The rules in force, tried in order; `counts` tells how often each kind of fault struck."""

    def __init__(self, rng: random.Random) -> None:
        self.counts: Counter[str] = Counter()
        self.all: list[Rule] = []
        self._rng = rng

    def decide(self, method: str, target: str) -> Rule | None:
        """The first rule that strikes this request."""
        for rule in self.all:
            if rule.times == 0 or rule.method not in {"", method} or not re.search(rule.path, target):
                continue
            if rule.share < 1 and self._rng.random() >= rule.share:
                continue
            if rule.times is not None:
                rule.times -= 1
            self.counts[f"{rule.fault} {rule.status}" if rule.fault is Fault.ANSWER else str(rule.fault)] += 1
            return rule
        return None
