"""The app's identity, shared by all clients of a process."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential


@functools.cache
def credential(client_id: str) -> DefaultAzureCredential:
    """The identity of the app: user-assigned when `client_id` is given, else whatever the environment offers."""
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - 160 ms that keys do not need

    return DefaultAzureCredential(managed_identity_client_id=client_id or None)
