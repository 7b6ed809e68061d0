"""A stand-in for the gRPC messages (FunctionRpc.proto) that the worker library is handed and builds.

The library takes the classes as an argument, so that plain objects with the fields of the protocol do. Runs on 3.13.
"""

from __future__ import annotations

from enum import IntEnum
from types import SimpleNamespace
from typing import Any


class Message:
    """A message: the fields it was made with; any other reads as unset, as in proto3."""

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> None:
        if name.startswith("_"):
            raise AttributeError(name)


class TypedData(Message):
    """A oneof: exactly one field, or none."""

    def __getattr__(self, name: str) -> None:
        raise AttributeError(name)

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's name
        return next(iter(self.__dict__), None)


class ParameterBinding(Message):
    """A named value."""

    def WhichOneof(self, _group: str) -> str:  # noqa: N802 - protobuf's name
        return "data"


class StatusResult(Message):
    Failure, Success, Cancelled = 0, 1, 2


class BindingInfo(Message):
    out, inout = 1, 2
    undefined, string, binary, stream = 0, 1, 2, 3


class RpcHttpCookie(Message):
    SameSite = IntEnum("SameSite", {"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3})


PROTOS = SimpleNamespace(
    TypedData=TypedData,
    ParameterBinding=ParameterBinding,
    StatusResult=StatusResult,
    BindingInfo=BindingInfo,
    RpcHttpCookie=RpcHttpCookie,
    **{
        name: type(name, (Message,), {})
        for name in (
            *("WorkerInitResponse", "WorkerMetadata", "FunctionMetadataResponse", "FunctionLoadResponse"),
            *("RpcFunctionMetadata", "RpcRetryOptions", "RpcException", "InvocationResponse", "RpcHttp"),
            *("NullableString", "NullableBool", "NullableDouble", "NullableTimestamp"),
        )
    },
)
