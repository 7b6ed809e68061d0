"""Service Bus queue triggers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local.host.config import ServiceBusOptions
from local.host.indexing import Function
from local.host.invoke import Invoker


class ServiceBusListener:
    def __init__(
        self, function: Function, invoker: Invoker, options: ServiceBusOptions, environment: Mapping[str, str]
    ) -> None: ...

    def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def close(self) -> None: ...


def argument_from_input(function: Function, text: str) -> Any:
    raise NotImplementedError
