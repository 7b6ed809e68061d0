"""The client of a DTQ: submit jobs and follow them, from a program or, as the `dtq` command, from a shell."""

from dtq.client import Client, DtqApiError, DtqError, DtqUnreachableError

__all__ = ["Client", "DtqApiError", "DtqError", "DtqUnreachableError"]
