"""What all adapters need to connect: the app's identity, and whether there is a proxy to go through."""

from __future__ import annotations

import functools
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential


@functools.cache
def credential(client_id: str) -> DefaultAzureCredential:
    """The identity of the app: user-assigned when `client_id` is given, else whatever the environment offers."""
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - 160 ms that keys do not need

    return DefaultAzureCredential(managed_identity_client_id=client_id or None)


@functools.cache
def proxies_configured() -> bool:
    """Whether the environment names a proxy.

    Where it names none the HTTP clients need not look: they would ask a thread before every request, which costs more
    than the request itself.
    """
    return bool(urllib.request.getproxies())
