"""The host's log: one line a record on stderr, each carrying the invocation that it belongs to."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Mapping
from contextvars import ContextVar

#: The invocation that the running code belongs to; functions on the thread pool inherit it.
invocation_id: ContextVar[str] = ContextVar("invocation_id", default="")

#: The names that host.json uses, and how the host's log lines show them.
LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}
#: Loggers of Microsoft's worker: system logs, which the real host keeps out of the console.
_SYSTEM_LOGGERS = ("azure_functions_worker", "azure.functions")


def _timestamp(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"


class TextFormatter(logging.Formatter):
    """`2026-11-21T10:00:00.123Z INFO Function.hello [invocation id] message`."""

    def format(self, record: logging.LogRecord) -> str:
        invocation = invocation_id.get()
        where = f"{record.name} [{invocation}]" if invocation else record.name
        text = f"{_timestamp(record)} {record.levelname} {where}: {record.getMessage()}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, category, message, and invocationId and exception where there are any."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": _timestamp(record),
            "level": record.levelname,
            "category": record.name,
            "message": record.getMessage(),
        }
        if invocation := invocation_id.get():
            entry["invocationId"] = invocation
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logging(floor: str, log_format: str) -> None:
    """Log to stderr from level `floor` (a host.json level name) up, as `text` or `json`."""
    # Nothing here shows threads, processes or call sites; looking them up would cost each record.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    handler.addFilter(lambda record: not record.name.startswith(_SYSTEM_LOGGERS))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[floor.lower()])
    logging.getLogger("azure").setLevel(max(logging.WARNING, root.level))


def apply_log_levels(levels: Mapping[str, str], floor: str) -> None:
    """Apply `logging.logLevel` of host.json: `default` and category prefixes, none below `floor`."""
    minimum = LEVELS[floor.lower()]
    for category, name in levels.items():
        level = LEVELS.get(name.lower())
        if level is None:
            logging.getLogger("Host.Startup").warning("host.json: logLevel.%s has no level %r.", category, name)
            continue
        target = logging.getLogger(None if category.lower() == "default" else category)
        target.setLevel(max(level, minimum))
