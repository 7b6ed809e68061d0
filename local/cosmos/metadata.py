"""Endpoints of the account, databases, containers and partition key ranges."""

from __future__ import annotations

from typing import Any

import msgspec

from local.cosmos import resources
from local.cosmos.errors import bad_request
from local.cosmos.query.engine import evaluate
from local.cosmos.request import Reply, Request, method_not_allowed, parse_query
from local.cosmos.resources import Container
from local.cosmos.store import Store


def account(request: Request) -> Reply:
    if request.method != "GET":
        raise method_not_allowed(request)
    return _document(resources.account(request.base_url))


def databases(store: Store, request: Request) -> Reply:
    if request.method == "POST" and not request.is_query:
        return _document(store.create_database(resources.check_id(request.json().get("id"))), 201)
    return _feed(request, "Databases", "", store.databases())


def database(store: Store, request: Request) -> Reply:
    match request.method:
        case "GET":
            return _document(store.database(request.path[1])[1])
        case "DELETE":
            store.delete_database(request.path[1])
            return Reply(204)
    raise method_not_allowed(request)


def containers(store: Store, request: Request) -> Reply:
    name = request.path[1]
    if request.method == "POST" and not request.is_query:
        settings = request.json()
        resources.check_id(settings.get("id"))
        return _document(store.create_container(name, settings), 201)
    return _feed(request, "DocumentCollections", store.database(name)[1]["_rid"], store.containers(name))


def container(store: Store, found: Container, request: Request) -> Reply:
    match request.method:
        case "GET":
            return _document(found.definition)
        case "PUT":
            return _document(store.replace_container(request.path[1], found, _new_settings(found, request.json())))
        case "DELETE":
            store.delete_container(found)
            return Reply(204)
    raise method_not_allowed(request)


def partition_key_ranges(found: Container, request: Request) -> Reply:
    if request.method != "GET":
        raise method_not_allowed(request)
    etag = f'"{found.number}"'
    if request.headers.get("if-none-match") == etag:
        return Reply(304, headers={"etag": etag})
    return Reply(200, msgspec.json.encode(resources.partition_key_ranges(found.rid)), {"etag": etag})


def offers() -> Reply:
    raise bad_request(
        "Reading or replacing offers is not supported: like a serverless account, this emulator has none."
    )


def _new_settings(found: Container, settings: dict[str, Any]) -> dict[str, Any]:
    for name in ("id", "partitionKey"):
        if settings.get(name) != found.definition[name]:
            raise bad_request(f"Document collection {name} cannot be changed: delete the container and create it anew.")
    return settings


def _document(body: dict[str, Any], status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(body), {"etag": body["_etag"]} if "_etag" in body else {})


def _feed(request: Request, name: str, rid: str, documents: list[dict[str, Any]]) -> Reply:
    if request.method == "POST":
        documents = evaluate(*parse_query(request), documents)
    elif request.method != "GET":
        raise method_not_allowed(request)
    body = {"_rid": rid, name: documents, "_count": len(documents)}
    return Reply(200, msgspec.json.encode(body), {"x-ms-item-count": str(len(documents))})
