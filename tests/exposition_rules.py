"""What promtool checks of a text for Prometheus, and what its format demands.

Sources: https://prometheus.io/docs/instrumenting/exposition_formats/ and promtool's linter (client_golang, promlint).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

_NAME = re.compile(r"[a-z_:][a-z0-9_:]*")
_HEAD = re.compile(r"# (HELP|TYPE) (\S+) (.+)")


def problems_of(text: str) -> list[str]:
    """Every rule that the text breaks, in words; the parser raises for what is no such text at all."""
    problems = [] if text.endswith("\n") else ["the last line does not end"]
    problems += _heads(text)
    for family in text_string_to_metric_families(text):
        name = family.name
        if not _NAME.fullmatch(name):
            problems.append(f"{name} is not a good name")
        if name.endswith(("_bucket", "_count", "_sum")):
            problems.append(f"{name} has a suffix that is reserved")
        keys = [(sample.name, tuple(sorted(sample.labels.items()))) for sample in family.samples]
        problems += [f"{key} is there twice" for key in set(keys) if keys.count(key) > 1]
        if family.type in {"counter", "histogram"}:
            problems += [f"{sample.name} is {sample.value}" for sample in family.samples if not sample.value >= 0]
        if family.type == "histogram":
            problems += _histogram(name, family.samples)
    return problems


def _heads(text: str) -> Iterable[str]:
    """Each metric has one HELP, then one TYPE, before its samples, and its lines are together."""
    lines = text.splitlines()
    heads = [match.groups() for line in lines if (match := _HEAD.fullmatch(line))]
    if len(heads) != sum(line.startswith("#") for line in lines):
        yield "a comment is neither HELP nor TYPE"
    for first, second in zip(heads[::2], heads[1::2], strict=True):
        if (first[0], second[0]) != ("HELP", "TYPE") or first[1] != second[1]:
            yield f"{first} is not followed by its TYPE"
    # The parser takes the suffix away, or adds it.
    for _, name, kind in heads[1::2]:
        if (kind == "counter") != name.endswith("_total"):
            yield f"{name}, a {kind}, does not end in _total, which counters do and nothing else"
    names = [head[1] for head in heads[::2]]
    if len(set(names)) != len(names):
        yield "a metric is declared twice"
    current = ""
    for line in lines:
        if match := _HEAD.fullmatch(line):
            current = match[2]
        elif not line.startswith(current) or not current:
            yield f"{line} does not stand below its own TYPE"


def _histogram(name: str, samples: Iterable[Sample]) -> Iterable[str]:
    """Buckets rise to +Inf, which is the count; there is a sum."""
    groups: dict[tuple[tuple[str, str], ...], dict[str, list[Sample]]] = {}
    for sample in samples:
        labels = tuple(sorted((key, value) for key, value in sample.labels.items() if key != "le"))
        groups.setdefault(labels, {}).setdefault(sample.name.removeprefix(name), []).append(sample)
    for labels, parts in groups.items():
        if parts.keys() != {"_bucket", "_count", "_sum"}:
            yield f"{name}{labels} lacks a part"
            continue
        bounds = [float(sample.labels["le"]) for sample in parts["_bucket"]]
        counts = [sample.value for sample in parts["_bucket"]]
        if bounds != sorted(set(bounds)) or bounds[-1] != math.inf:
            yield f"{name}{labels} has buckets in disorder"
        if any(low > high for low, high in pairwise(counts)):
            yield f"{name}{labels} is not cumulative"
        if [sample.value for sample in parts["_count"]] != counts[-1:]:
            yield f"{name}{labels} ends with another number than its count"
