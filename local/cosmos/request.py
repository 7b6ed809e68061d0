"""A request as the endpoints see it, and their reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from local.cosmos.errors import CosmosError, bad_request


@dataclass(frozen=True, slots=True)
class Request:
    """`path`: decoded segments of the URL; `base_url`: how the client reached this server, ends with a slash."""

    method: str
    path: list[str]
    headers: Mapping[str, str]
    body: bytes
    base_url: str

    def flag(self, header: str) -> bool:
        return self.headers.get(header, "").lower() == "true"

    @property
    def is_query(self) -> bool:
        return (
            self.flag("x-ms-documentdb-isquery")
            or self.flag("x-ms-documentdb-query")
            or self.headers.get("content-type", "").startswith("application/query+json")
        )

    def json(self) -> dict[str, Any]:
        """The body, which must be a JSON object; 400 else."""
        try:
            return msgspec.json.decode(self.body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise bad_request(
                f"The request payload is invalid. Ensure to provide a valid request payload. ({error})"
            ) from None


@dataclass(slots=True)
class Reply:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


class Query(NamedTuple):
    """The body of a query request. `parameters` maps names, with their @, to values."""

    text: str
    parameters: dict[str, Any]


def parse_query(request: Request) -> Query:
    body = request.json()
    text, parameters = body.get("query"), body.get("parameters") or []
    if not isinstance(text, str):
        raise bad_request("The query's body needs 'query': its text.")
    try:
        return Query(text, {parameter["name"]: parameter["value"] for parameter in parameters})
    except (TypeError, KeyError):
        raise bad_request("The query's 'parameters' must be a list of {name, value}.") from None


def method_not_allowed(request: Request) -> CosmosError:
    return CosmosError(
        405, "MethodNotAllowed", f"{request.method} is not allowed on /{'/'.join(request.path)} by this emulator."
    )
