"""The JSON hub protocol: records that end with U+001E, several of which may share a WebSocket frame.

Source: https://github.com/dotnet/aspnetcore/blob/main/src/SignalR/docs/specs/HubProtocol.md
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

SEPARATOR = b"\x1e"
HANDSHAKE_DONE = b"{}" + SEPARATOR
PING = b'{"type":6}' + SEPARATOR

#: Message types that a listening client has a reason to send, or that ask for an answer.
INVOCATION, STREAM_INVOCATION, CLOSE = 1, 4, 7


class ProtocolError(Exception):
    """The client does not speak the JSON hub protocol; the message says where it went wrong."""


class Message(msgspec.Struct, rename="camel"):
    """What the service reads of a client's record."""

    type: int
    invocation_id: str | None = None


class Invocation(msgspec.Struct):
    """The body of a REST send. The arguments stay the bytes that came in: the service only passes them on."""

    target: str
    arguments: list[msgspec.Raw] | None = None


class _Handshake(msgspec.Struct):
    protocol: str
    version: int


def records(frame: str) -> Iterator[str]:
    """The records of a frame, in order."""
    return filter(None, frame.split("\x1e"))


def check_handshake(record: str) -> None:
    """Raises `ProtocolError` unless the client asks for JSON in a version that is spoken here."""
    try:
        asked = msgspec.json.decode(record, type=_Handshake)
    except msgspec.DecodeError as error:
        raise ProtocolError("Handshake was canceled: the first record is no handshake request.") from error
    if asked.protocol != "json":
        raise ProtocolError(f"The protocol '{asked.protocol}' is not supported.")
    if asked.version not in (1, 2):
        raise ProtocolError(f"The server does not support version {asked.version} of the 'json' protocol.")


def parse(record: str) -> Message:
    """Raises `ProtocolError` when the record is no hub message."""
    try:
        return msgspec.json.decode(record, type=Message)
    except msgspec.DecodeError as error:
        raise ProtocolError(f"Invalid message: {error}") from error


def handshake_refused(error: str) -> bytes:
    return msgspec.json.encode({"error": error}) + SEPARATOR


def invocation(sent: Invocation) -> bytes:
    """Calls `target` in every client that receives it."""
    return msgspec.json.encode({"type": 1, "target": sent.target, "arguments": sent.arguments or []}) + SEPARATOR


def completion_error(invocation_id: str, error: str) -> bytes:
    return msgspec.json.encode({"type": 3, "invocationId": invocation_id, "error": error}) + SEPARATOR


def close(error: str | None, *, allow_reconnect: bool) -> bytes:
    record: dict[str, object] = {"type": CLOSE, "allowReconnect": allow_reconnect}
    if error:
        record["error"] = error
    return msgspec.json.encode(record) + SEPARATOR
