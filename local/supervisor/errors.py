"""What can keep the stack from starting or running; each message says what happened and what to do."""

from __future__ import annotations


class StackError(Exception):
    """The stack cannot start as asked (exit status 2): nothing was started yet."""


class ServiceGaveUpError(Exception):
    """A service never became ready, however often it was started (exit status 1). Its own lines in the log say why."""
