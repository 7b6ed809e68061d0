"""What lets one test drive the sync and the async client of azure-data-tables."""

from __future__ import annotations

import inspect
from typing import Any

from azure.core.exceptions import HttpResponseError


async def done(result: Any) -> Any:
    """The result of a call, whichever client made it."""
    return await result if inspect.isawaitable(result) else result


async def collect(pages: Any) -> list[Any]:
    """All elements of an ItemPaged or AsyncItemPaged."""
    return [item async for item in pages] if hasattr(pages, "__aiter__") else list(pages)


async def status_of(call: Any) -> int:
    """The status of the error that `call()` raises; 0 when it raises none."""
    try:
        await done(call())
    except HttpResponseError as error:
        return int(error.status_code or -1)
    return 0
