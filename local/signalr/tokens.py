"""Access tokens: JSON Web Tokens signed with HS256 by the access key, for clients and for the REST data plane.

Written out here (RFC 7515, RFC 7519) because importing PyJWT brings `cryptography` along, 8 MiB of memory for one HMAC.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time

import msgspec

#: Seconds that the clocks of two machines may differ.
_LEEWAY = 5


class TokenError(Exception):
    """The token is not good for this request; the message says why."""


class Claims(msgspec.Struct):
    """The claims that decide anything here; the others are let through unread."""

    aud: str | list[str]
    exp: float
    nbf: float | None = None
    nameid: str | None = None
    user_id: str | None = msgspec.field(name="asrs.s.uid", default=None)

    @property
    def user(self) -> str | None:
        return self.nameid or self.user_id


class _Header(msgspec.Struct):
    alg: str


class TokenAuthority:
    """Signs and checks tokens with one access key: its ASCII text is the secret, not what it decodes to."""

    def __init__(self, access_key: str) -> None:
        self._key = access_key.encode()

    def issue(self, audience: str, lifetime: float, user: str | None = None) -> str:
        """A token for `audience` that is good for `lifetime` seconds."""
        now = int(time.time())
        claims: dict[str, object] = {"aud": audience, "iat": now, "exp": now + int(lifetime)}
        if user is not None:
            claims["nameid"] = user
        signed = b".".join(_encode(msgspec.json.encode(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
        return b".".join((signed, _encode(self._signature(signed)))).decode()

    def verify(self, token: str, *audiences: str) -> Claims:
        """The claims of a token that this key signed, that is in force and meant for one of `audiences`.

        Raises `TokenError` otherwise.
        """
        signed, _, signature = token.encode().rpartition(b".")
        header, _, payload = signed.partition(b".")
        try:
            if msgspec.json.decode(_decode(header), type=_Header).alg != "HS256":
                raise TokenError("The token is not signed with HS256.")
            if not hmac.compare_digest(_decode(signature), self._signature(signed)):
                raise TokenError("The signature is invalid.")
            claims = msgspec.json.decode(_decode(payload), type=Claims)
        except (binascii.Error, msgspec.DecodeError) as error:
            raise TokenError("The token is not a JSON Web Token with aud and exp.") from error
        now = time.time()
        if claims.exp < now - _LEEWAY:
            raise TokenError("The token expired.")
        if claims.nbf is not None and claims.nbf > now + _LEEWAY:
            raise TokenError("The token is not valid yet.")
        named = [claims.aud] if isinstance(claims.aud, str) else claims.aud
        if {name.lower() for name in named}.isdisjoint(audience.lower() for audience in audiences):
            raise TokenError(f"The audience is invalid: it must be {audiences[0]}")
        return claims

    def _signature(self, signed: bytes) -> bytes:
        return hmac.digest(self._key, signed, hashlib.sha256)


def _encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decode(data: bytes) -> bytes:
    return base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True)
