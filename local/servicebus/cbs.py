"""Shared access signatures: who may use which entity, on AMQP (`$cbs`) and over HTTP.

Token: `SharedAccessSignature sr=URI&sig=SIGNATURE&se=EXPIRY&skn=POLICY`; the signature is the base64 of
HMAC-SHA256(key, "URI\\nEXPIRY") over the URI as it stands, still percent-encoded.
Source: https://learn.microsoft.com/azure/service-bus-messaging/service-bus-sas.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import unquote_plus, urlsplit

from local.servicebus.errors import UnauthorizedError

POLICY = "RootManageSharedAccessKey"
_SCHEME = "SharedAccessSignature "


def entity_path(address: str) -> str:
    """The lower-case path of an address such as `amqps://host:port/q1` or `q1/$management`, without outer slashes.

    Host and port say nothing here: clients reach the emulator by many names and through proxies.
    """
    path = urlsplit(address).path if "://" in address else address
    return path.strip("/").lower()


def check_token(token: str, key: str, now: float) -> tuple[str, float]:
    """The entity path that a token covers ("" is the whole namespace) and its expiry. Raises UnauthorizedError."""
    if not token.startswith(_SCHEME):
        raise UnauthorizedError("The token is no shared access signature: this emulator knows no other kind.")
    fields = dict(part.partition("=")[::2] for part in token.removeprefix(_SCHEME).split("&"))
    resource, expiry = fields.get("sr", ""), fields.get("se", "")
    if unquote_plus(unquote_plus(fields.get("skn", ""))) != POLICY:
        raise UnauthorizedError(f"The token's policy is not {POLICY}, the only one of this emulator.")
    digest = hmac.digest(key.encode(), f"{resource}\n{expiry}".encode(), hashlib.sha256)
    if not hmac.compare_digest(base64.b64encode(digest), unquote_plus(fields.get("sig", "")).encode()):
        raise UnauthorizedError("The token's signature does not match: the client has another key than the emulator.")
    if not expiry.isdigit() or int(expiry) <= now:
        raise UnauthorizedError("The token has expired: check the client's clock, or let it renew its tokens.")
    return entity_path(unquote_plus(resource)), float(expiry)


def covers(scope: str, path: str) -> bool:
    """Whether a token for `scope` opens `path`: the same entity or something below it."""
    return scope in {"", path} or path.startswith(scope + "/")


class Claims:
    """The tokens that a connection has shown."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._expiry_of: dict[str, float] = {}

    def put(self, token: str, audience: str, now: float) -> None:
        """Take a token for `audience`. Raises UnauthorizedError."""
        scope, expiry = check_token(token, self._key, now)
        path = entity_path(audience)
        if not covers(scope, path):
            raise UnauthorizedError(f"The token is for '{scope}' and does not cover '{path}'.")
        self._expiry_of[path] = expiry

    def check(self, address: str, now: float) -> None:
        """Raises UnauthorizedError unless a token that holds now covers the address."""
        path = entity_path(address)
        if not any(covers(scope, path) and expiry > now for scope, expiry in self._expiry_of.items()):
            raise UnauthorizedError(f"Unauthorized access. No valid token was put to $cbs for '{path}'.")
