"""Reading a broker message that another release of the app may have written."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from shared.jobs.model import MESSAGE_VERSION, JobMessage

#: A message of a newer release comes back after so long, to whichever instance gets it then.
NEWER_MESSAGE_WAIT = timedelta(seconds=30)


class UndecodableMessageError(Exception):
    """The body is no message of this product, or a part of it is not what it has to be. Nothing can run it."""


class NewerMessageError(Exception):
    """The message has a version that this release does not know: it is for an instance of a newer one."""

    def __init__(self, version: int) -> None:
        super().__init__(f"the message has version {version}, this instance reads up to {MESSAGE_VERSION}")


class _Versioned(msgspec.Struct):
    """What every version of a message has."""

    version: int


def decode_message(body: bytes) -> JobMessage:
    """The message in a body. Raises UndecodableMessageError and NewerMessageError.

    Within a version, fields are only ever added, with defaults: an older reader passes over them, a newer one fills in
    what an older writer left out. A change that is more than this raises MESSAGE_VERSION, one release after the readers
    have learnt it.
    """
    try:
        version = msgspec.json.decode(body, type=_Versioned).version
        if version > MESSAGE_VERSION:
            raise NewerMessageError(version)
        return msgspec.json.decode(body, type=JobMessage)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise UndecodableMessageError(str(exc)) from exc
