"""Master-key authorization of a request.

Protocol: https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources
"""

from __future__ import annotations

import base64
import functools
import hmac
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from local.cosmos.errors import CosmosError

#: The service refuses a request whose date is further away than this.
MAX_SKEW_SECONDS = 15 * 60


def check(key: bytes, method: str, path: Sequence[str], headers: Mapping[str, str]) -> None:
    """Raise 401 unless the request is signed with `key`, 403 when its date is more than 15 minutes off.

    `path`: the decoded segments of the URL, such as `["dbs", "d", "colls", "c"]`.
    """
    token = dict(part.split("=", 1) for part in unquote(headers.get("authorization", "")).split("&") if "=" in part)
    if token.get("type") != "master" or token.get("ver") != "1.0":
        raise _unauthorized(
            "Required Header authorization is missing, or it is not a master key token "
            "(this emulator takes neither Microsoft Entra ID nor resource tokens)."
        )
    date = headers.get("x-ms-date", "")
    http_date = "" if date else headers.get("date", "")
    text = (
        f"{method}\n{_resource_type(path)}\n".lower() + f"{_resource_link(path)}\n" + f"{date}\n{http_date}\n".lower()
    )
    expected = base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
    if not hmac.compare_digest(expected, token.get("sig", "")):
        raise _unauthorized(
            "The input authorization token can't serve the request. The wrong key is being used or the expected "
            "payload is not built as per the protocol. For more info: https://aka.ms/cosmosdb-tsg-unauthorized. "
            f"Server used the following payload to sign: {text!r}"
        )
    if abs(time.time() - _timestamp(date or http_date)) > MAX_SKEW_SECONDS:
        raise CosmosError(
            403, "Forbidden", "The authorization token is not valid at the current time. Check the client's clock."
        )


def _resource_type(path: Sequence[str]) -> str:
    if len(path) % 2:
        return path[-1]
    return path[-2] if path else ""


def _resource_link(path: Sequence[str]) -> str:
    return "/".join(path if len(path) % 2 == 0 else path[:-1])


@functools.lru_cache(8)
def _timestamp(date: str) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        raise _unauthorized(f"The date header {date!r} is missing or is not an RFC 1123 date.") from None


def _unauthorized(message: str) -> CosmosError:
    return CosmosError(401, "Unauthorized", message)
