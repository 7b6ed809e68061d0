"""The .NET TimeSpan notation that host.json and timer schedules use."""

from __future__ import annotations

import re
from datetime import timedelta

_TIMESPAN = re.compile(
    r"(?P<sign>-)?(?:(?P<days>\d+)\.)?(?P<hours>\d{1,2}):(?P<minutes>\d{1,2})(?::(?P<seconds>\d{1,2})(?P<fraction>\.\d{1,7})?)?"
)
_DAYS = re.compile(r"-?\d+")


def parse_timespan(text: str) -> timedelta:
    """`[-][d.]hh:mm[:ss[.fffffff]]` or a bare number of days, as TimeSpan.Parse reads it; else ValueError."""
    text = text.strip()
    if _DAYS.fullmatch(text):
        return timedelta(days=int(text))
    match = _TIMESPAN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a time span: write it as hh:mm:ss or d.hh:mm:ss.")
    hours, minutes, seconds = (int(match[name] or 0) for name in ("hours", "minutes", "seconds"))
    if hours > 23 or minutes > 59 or seconds > 59:
        raise ValueError(f"{text!r} is not a time span: hours go to 23, minutes and seconds to 59.")
    span = timedelta(
        days=int(match["days"] or 0),
        hours=hours,
        minutes=minutes,
        seconds=seconds,
        microseconds=int(float(match["fraction"] or 0) * 1_000_000),
    )
    return -span if match["sign"] else span


def format_timespan(span: timedelta) -> str:
    """`[d.]hh:mm:ss`, as the host's log lines show one."""
    total = int(span.total_seconds())
    days, rest = divmod(total, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    clock = f"{hours:02}:{minutes:02}:{seconds:02}"
    return f"{days}.{clock}" if days else clock
