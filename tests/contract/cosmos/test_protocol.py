"""What the SDK never sends, or never shows: authorization, conditional reads, malformed and unknown requests."""

from __future__ import annotations

import base64
import hmac
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import quote

import pytest
import requests
from azure.cosmos import CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.contract.cosmos.sdk import ACCOUNT_KEY
from tests.services import Service


def sign(method: str, path: str, date: str, key: str = ACCOUNT_KEY) -> dict[str, str]:
    """Headers as https://learn.microsoft.com/rest/api/cosmos-db/access-control-on-cosmosdb-resources says.

    `path` names a resource, or a collection of them, without a leading slash.
    """
    segments = [segment for segment in path.split("/") if segment]
    named = len(segments) % 2 == 0
    resource = segments[-2 if named else -1] if segments else ""
    link = "/".join(segments if named else segments[:-1])
    text = f"{method.lower()}\n{resource}\n{link}\n{date.lower()}\n\n"
    signature = base64.b64encode(hmac.digest(base64.b64decode(key), text.encode(), "sha256")).decode()
    return {"authorization": quote(f"type=master&ver=1.0&sig={signature}", safe=""), "x-ms-date": date}


class Gateway:
    """Sends signed requests for items of partition t of a container."""

    def __init__(self, url: str, database: str) -> None:
        self._url = url
        self.collection = f"dbs/{database}/colls/c"

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, age: float = 0
    ) -> requests.Response:
        """`headers` come on top; `age` is how many seconds ago the request claims to be made."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body)
        sent = {
            **sign(method, path, formatdate(time.time() - age, usegmt=True)),
            "x-ms-documentdb-partitionkey": '["t"]',
            **(headers or {}),
        }
        return requests.request(method, f"{self._url}/{path}", data=data, headers=sent, timeout=10)


@pytest.fixture(scope="module")
def gateway(service: Service) -> Iterator[Gateway]:
    with CosmosClient(service.url, ACCOUNT_KEY) as client:
        database = client.create_database(f"protocol-{uuid.uuid4().hex[:8]}")
        database.create_container("c", PartitionKey("/tenant")).create_item({"id": "a", "tenant": "t"})
        yield Gateway(service.url, database.id)
        client.delete_database(database.id)


def test_the_account_names_the_address_that_the_client_used(service: Service) -> None:
    headers = {**sign("GET", "", formatdate(usegmt=True)), "Host": "cosmos.example:1234"}
    account = requests.get(service.url, headers=headers, timeout=10).json()
    for locations in ("writableLocations", "readableLocations"):
        endpoints = [location["databaseAccountEndpoint"] for location in account[locations]]
        assert endpoints == ["http://cosmos.example:1234/"]


def test_a_wrong_key_is_401(service: Service) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        CosmosClient(service.url, base64.b64encode(b"wrong").decode(), retry_total=0)
    assert caught.value.status_code == 401


def test_authorization_covers_method_resource_and_date(gateway: Gateway) -> None:
    item = f"{gateway.collection}/docs/a"
    assert gateway.send("GET", item).status_code == 200
    assert gateway.send("GET", item, headers={"authorization": ""}).status_code == 401
    assert gateway.send("GET", item, headers={"authorization": quote("type=aad&ver=1.0&sig=x")}).status_code == 401
    assert (
        gateway.send("GET", item, headers={"x-ms-date": formatdate(time.time() - 60, usegmt=True)}).status_code == 401
    )
    signed = sign("GET", item, formatdate(usegmt=True))
    assert gateway.send("DELETE", item, headers=signed).status_code == 401
    assert gateway.send("GET", f"{gateway.collection}/docs/b", headers=signed).status_code == 401
    assert gateway.send("GET", item, age=14 * 60).status_code == 200
    assert gateway.send("GET", item, age=16 * 60).status_code == 403
    assert gateway.send("GET", item, age=-16 * 60).status_code == 403


def test_a_conditional_read_is_304_without_a_body(gateway: Gateway) -> None:
    """The SDK's 4.17 read_item drops its conditions; other clients send them."""
    item = f"{gateway.collection}/docs/a"
    etag = gateway.send("GET", item).headers["etag"]
    unchanged = gateway.send("GET", item, headers={"if-none-match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert gateway.send("GET", item, headers={"if-none-match": '"other"'}).status_code == 200


def test_errors_have_code_message_and_activity_id(gateway: Gateway) -> None:
    missing = gateway.send("GET", f"{gateway.collection}/docs/missing", headers={"x-ms-activity-id": "the-activity"})
    assert missing.status_code == 404
    assert missing.json()["code"] == "NotFound"
    assert missing.json()["message"].endswith("ActivityId: the-activity")
    assert missing.headers["x-ms-activity-id"] == "the-activity"
    recreated = gateway.send(
        "GET", f"{gateway.collection}/docs/a", headers={"x-ms-cosmos-intended-collection-rid": "old"}
    )
    assert (recreated.status_code, recreated.headers["x-ms-substatus"]) == (400, "1024")
    owner = gateway.send("GET", "dbs/missing/colls/c/docs/a")
    assert (owner.status_code, owner.headers["x-ms-substatus"]) == (404, "1003")


@pytest.mark.parametrize("identifier", ["a/b", "a\\b", "a?b", "a#b", "", "x" * 1024, 5, None])
def test_invalid_ids_are_400(gateway: Gateway, identifier: Any) -> None:
    assert gateway.send("POST", f"{gateway.collection}/docs", {"id": identifier, "tenant": "t"}).status_code == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"\xff",
        b'{"id": "x", "tenant": "t", "n": 1e999}',
        b'{"tenant": "t"}',
        b'{"id": "x", "tenant": "u"}',
    ],
)
def test_a_body_that_is_no_item_of_this_partition_is_400(gateway: Gateway, body: bytes) -> None:
    assert gateway.send("POST", f"{gateway.collection}/docs", body).status_code == 400


@pytest.mark.parametrize("key", ["t", "{}", "[]", '["t", "u"]', "[[1]]", '[{"a": 1}]'])
def test_a_malformed_partition_key_is_400(gateway: Gateway, key: str) -> None:
    answer = gateway.send("GET", f"{gateway.collection}/docs/a", headers={"x-ms-documentdb-partitionkey": key})
    assert answer.status_code == 400


BATCH = {"x-ms-cosmos-is-batch-request": "True", "x-ms-cosmos-batch-atomic": "True"}


@pytest.mark.parametrize("body", [b"{}", b"[]", b"[1]", b""])
def test_a_malformed_batch_is_400(gateway: Gateway, body: bytes) -> None:
    assert gateway.send("POST", f"{gateway.collection}/docs", body, BATCH).status_code == 400


def test_an_unknown_operation_fails_its_batch(gateway: Gateway) -> None:
    operations = [{"operationType": "Read", "id": "a"}, {"operationType": "Frobnicate", "id": "a"}]
    answer = gateway.send("POST", f"{gateway.collection}/docs", operations, BATCH)
    assert answer.status_code == 207
    assert [entry["statusCode"] for entry in answer.json()] == [424, 400]
    assert "Frobnicate" in answer.json()[1]["message"]


def test_a_batch_that_is_not_atomic_is_refused(gateway: Gateway) -> None:
    answer = gateway.send("POST", f"{gateway.collection}/docs", [], {"x-ms-cosmos-is-batch-request": "True"})
    assert answer.status_code == 400
    assert "not supported by this emulator" in answer.text


@pytest.mark.parametrize("path", ["sprocs", "triggers", "udfs", "docs/a/attachments"])
def test_resources_that_are_not_emulated_are_refused_by_name(gateway: Gateway, path: str) -> None:
    answer = gateway.send("GET", f"{gateway.collection}/{path}")
    assert answer.status_code == 400
    assert f"{path} is not supported by this emulator" in answer.text


def test_methods_that_a_resource_does_not_have_are_405(gateway: Gateway) -> None:
    for method, path in (
        ("PUT", "dbs"),
        ("POST", f"{gateway.collection}/docs/a"),
        ("DELETE", f"{gateway.collection}/docs"),
    ):
        assert gateway.send(method, path, {}).status_code == 405


def test_throughput_is_that_of_a_serverless_account(service: Service, gateway: Gateway) -> None:
    with CosmosClient(service.url, ACCOUNT_KEY) as client:
        database = client.get_database_client(gateway.collection.split("/")[1])
        with pytest.raises(CosmosHttpResponseError, match="offers is not supported"):
            database.get_container_client("c").get_throughput()
