"""The SQL subset: what each query answers, in one partition and across partitions, and what is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from azure.cosmos import ContainerProxy, CosmosClient, PartitionKey
from azure.cosmos.exceptions import CosmosHttpResponseError

from tests.contract.cosmos.sdk import ACCOUNT_KEY, ACROSS_PARTITIONS, collect, done
from tests.services import Service

POLICY = {
    "indexingMode": "consistent",
    "automatic": True,
    "includedPaths": [{"path": "/*"}],
    "excludedPaths": [{"path": "/nested/*"}],
    "compositeIndexes": [[{"path": "/state", "order": "ascending"}, {"path": "/n", "order": "descending"}]],
}
ITEMS: list[dict[str, Any]] = [
    {"id": "a", "tenant": "t1", "n": 1, "state": "done", "tags": ["x"], "nested": {"k": "v"}, "flag": True},
    {"id": "b", "tenant": "t1", "n": 2.5, "state": "done", "tags": ["x", "y"], "nested": {"k": None}, "flag": False},
    {"id": "c", "tenant": "t1", "n": 3, "state": "failed", "tags": [], "value": "Sun 100%"},
    {"id": "d", "tenant": "t1", "n": "3", "state": "queued", "tags": [{"k": 1, "l": 2}]},
    {"id": "e", "tenant": "t1", "state": "queued", "text": 'it\'s a "q_"'},
    {"id": "a", "tenant": "t2", "n": 10, "state": "done"},
]


@pytest.fixture(scope="module")
def sync_items(service: Service) -> Iterator[ContainerProxy]:
    """A container that holds ITEMS. What the SQL means is tested with this client alone: it is the server's matter."""
    with CosmosClient(service.url, ACCOUNT_KEY) as client:
        database = client.create_database("queries")
        container = database.create_container("items", PartitionKey("/tenant"), indexing_policy=POLICY)
        for item in ITEMS:
            container.create_item(item)
        yield container
        client.delete_database(database.id)


@pytest.fixture
def items(client: Any, sync_items: ContainerProxy) -> Any:
    """The same container, by the sync and the async client."""
    return client.get_database_client("queries").get_container_client(sync_items.id)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("c.n = 3", "c"),
        ("c.n = 3.0", "c"),
        ("c.n = '3'", "d"),
        ("c.n > 1", "bc"),
        ("c.n >= 1 AND c.n < 3", "ab"),
        ("c.n BETWEEN 2 AND 3", "bc"),
        ("NOT (c.n BETWEEN 2 AND 3)", "a"),
        ("c.n NOT BETWEEN 2 AND 3", "a"),
        ("c.state IN ('failed', 'queued')", "cde"),
        ("c.state NOT IN ('failed', 'queued')", "ab"),
        ("c.n IN (1, '3')", "ad"),
        ("c.id IN ('a', 'e', 'zz')", "ae"),
        ("c.state = 'done' OR c.n = 3", "abc"),
        ("c.state = 'done' AND (c.n = 1 OR c.n = 3)", "a"),
        ("c.state = 'queued' OR c.state = 'done' AND c.n = 1", "ade"),
        ("c.state != 'done'", "cde"),
        ("c.state <> 'done'", "cde"),
        ("c.nested.k != null", "a"),
        ("c.nested.k = null", "b"),
        ("IS_NULL(c.nested.k)", "b"),
        ("IS_DEFINED(c.nested.k)", "ab"),
        ("NOT IS_DEFINED(c.n)", "e"),
        ("c.missing = c.missing", ""),
        ("c.flag", "a"),
        ("NOT c.flag", "b"),
        ("c.flag = true OR c.missing = 1", "a"),
        ("c.missing = 1 AND c.flag = false", ""),
        ("NOT (c.missing = 1 AND c.flag = false)", "a"),
        ("c.n + 1 = 2", "a"),
        ("c.n * 2 - 1 = 4", "b"),
        ("-c.n = -1", "a"),
        ("c.n % 2 = 1", "ac"),
        ("c.n / 0 = 1", ""),
        ("IS_DEFINED(c.n * 1e308 * 1e308)", ""),
        ("c['n'] = 1", "a"),
        ('c["tags"][0] = "x"', "ab"),
        ("c.tags[1] = 'y'", "b"),
        ("c.tags = []", "c"),
        ("c.nested = {'k': 'v'}", "a"),
        ("c['value'] LIKE 'Sun%'", "c"),
        ("c['value'] LIKE '%100!%' ESCAPE '!'", "c"),
        ("c.state LIKE '_one'", "ab"),
        ("c.state NOT LIKE '%e%'", ""),
        ("c.text = 'it\\'s a \"q_\"'", "e"),
        ("c.text LIKE 'it%q!_%' ESCAPE '!'", "e"),
        ("CONTAINS(c.state, 'ue')", "de"),
        ("CONTAINS(c.state, 'UE')", ""),
        ("CONTAINS(c.state, 'UE', true)", "de"),
        ("STARTSWITH(c.state, 'do')", "ab"),
        ("ENDSWITH(c.state, 'ed')", "cde"),
        ("StringEquals(c.state, 'DONE', true)", "ab"),
        ("LOWER(c['value']) = 'sun 100%'", "c"),
        ("UPPER(c.state) = 'FAILED'", "c"),
        ("LENGTH(c.state) = 4", "ab"),
        ("CONCAT(c.id, '-', c.state) = 'a-done'", "a"),
        ("SUBSTRING(c.state, 1, 2) = 'on'", "ab"),
        ("INDEX_OF(c.state, 'l') = 3", "c"),
        ("LEFT(c.state, 2) = 'fa' AND RIGHT(c.state, 2) = 'ed'", "c"),
        ("ARRAY_CONTAINS(c.tags, 'y')", "b"),
        ("ARRAY_CONTAINS(c.tags, {'k': 1})", ""),
        ("ARRAY_CONTAINS(c.tags, {'k': 1}, true)", "d"),
        ("ARRAY_LENGTH(c.tags) = 2", "b"),
        ("ARRAY_CONTAINS(['done', 'failed'], c.state)", "abc"),
        ("IS_NUMBER(c.n)", "abc"),
        ("IS_STRING(c.n)", "d"),
        ("IS_BOOL(c.flag) AND IS_ARRAY(c.tags) AND IS_OBJECT(c.nested)", "ab"),
        ("FLOOR(c.n) = 2 AND CEILING(c.n) = 3 AND ROUND(c.n) = 3", "b"),
        ("ABS(c.n - 3) < 1", "bc"),
        ("IIF(c.flag, 'yes', 'no') = 'yes'", "a"),
        ("c._ts <= GetCurrentTimestamp() / 1000", "abcde"),
        ("c.state < 'e'", "ab"),
        ("true", "abcde"),
        ("1", ""),
    ],
)
def test_where(sync_items: ContainerProxy, condition: str, expected: str) -> None:
    query = "SELECT VALUE c.id FROM c WHERE " + condition  # noqa: S608 - constants of this file
    found: Iterable[Any] = sync_items.query_items(query, partition_key="t1")
    assert "".join(found) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT c.id, c.n AS number FROM c WHERE c.id = 'a'", [{"id": "a", "number": 1}]),
        ("SELECT c.id, c.missing FROM c WHERE c.id = 'a'", [{"id": "a"}]),
        ("SELECT c.nested.k, 1 AS one, c.n * 2 FROM c WHERE c.id = 'a'", [{"k": "v", "one": 1, "$1": 2}]),
        ("SELECT VALUE c.nested FROM c WHERE c.id = 'a'", [{"k": "v"}]),
        ("SELECT VALUE c.missing FROM c", []),
        (
            "SELECT VALUE {'i': c.id, 'm': c.missing, 'l': [c.n, c.missing]} FROM c WHERE c.n = 1",
            [{"i": "a", "l": [1]}],
        ),
        ("SELECT r.id FROM root r WHERE r.id = 'a'", [{"id": "a"}]),
        ("SELECT VALUE j.id FROM jobs AS j WHERE j.id = 'b'", ["b"]),
        ("SELECT VALUE c.id FROM c ORDER BY c.n", ["e", "a", "b", "c", "d"]),
        ("SELECT VALUE c.id FROM c ORDER BY c.n DESC", ["d", "c", "b", "a", "e"]),
        ("SELECT VALUE c.id FROM c ORDER BY c.state ASC, c.n DESC", ["b", "a", "c", "d", "e"]),
        ("SELECT VALUE c.id FROM c ORDER BY c.state DESC, c.n ASC", ["e", "d", "c", "a", "b"]),
        ("SELECT TOP 2 VALUE c.id FROM c ORDER BY c.id DESC", ["e", "d"]),
        ("SELECT VALUE c.id FROM c ORDER BY c.id OFFSET 1 LIMIT 2", ["b", "c"]),
        ("SELECT VALUE c.id FROM c OFFSET 4 LIMIT 10", ["e"]),
        ("SELECT DISTINCT VALUE c.state FROM c", ["done", "failed", "queued"]),
        ("SELECT DISTINCT c.state, IS_DEFINED(c.n) AS n FROM c WHERE c.id < 'c'", [{"state": "done", "n": True}]),
        ("SELECT VALUE COUNT(1) FROM c", [5]),
        ("SELECT VALUE COUNT(c.n) FROM c", [4]),
        ("SELECT COUNT(1) AS k FROM c WHERE c.id = 'zz'", [{"k": 0}]),
        ("SELECT VALUE SUM(c.n) FROM c WHERE IS_NUMBER(c.n)", [6.5]),
        ("SELECT VALUE SUM(c.n) FROM c", []),
        ("SELECT VALUE c.n * 4 FROM c WHERE c.id = 'b'", [10]),
        ("SELECT VALUE AVG(c.n) FROM c WHERE c.n IN (1, 3)", [2]),
        ("SELECT MIN(c.n) AS low, MAX(c.n) AS high FROM c", [{"low": 1, "high": "3"}]),
        (
            "SELECT c.state, COUNT(1) AS k, MAX(c.n) AS m FROM c GROUP BY c.state",
            [
                {"state": "done", "k": 2, "m": 2.5},
                {"state": "failed", "k": 1, "m": 3},
                {"state": "queued", "k": 2, "m": "3"},
            ],
        ),
        (
            "SELECT UPPER(c.state) AS s FROM c GROUP BY UPPER(c.state)",
            [{"s": "DONE"}, {"s": "FAILED"}, {"s": "QUEUED"}],
        ),
        (
            "SELECT c.id, t AS tag FROM c JOIN t IN c.tags WHERE IS_STRING(t) AND c.id = 'b'",
            [{"id": "b", "tag": "x"}, {"id": "b", "tag": "y"}],
        ),
    ],
)
def test_select(sync_items: ContainerProxy, query: str, expected: list[Any]) -> None:
    assert list(sync_items.query_items(query, partition_key="t1")) == expected


async def test_select_star_gives_the_items_as_a_read_does(items: Any) -> None:
    found = await collect(items.query_items("SELECT * FROM c WHERE c.id = 'a'", partition_key="t1"))
    assert found == [await done(items.read_item("a", "t1"))]


async def test_parameters_of_every_type(items: Any) -> None:
    query = "SELECT VALUE c.id FROM c WHERE c.state = @s AND c.n >= @n AND ARRAY_CONTAINS(@ids, c.id) AND c.flag = @f"
    values = {"@s": "done", "@n": 1, "@ids": ["a", "b"], "@f": False}
    parameters = [{"name": name, "value": value} for name, value in values.items()]
    assert await collect(items.query_items(query, parameters=parameters, partition_key="t1")) == ["b"]
    query = "SELECT VALUE c.id FROM c ORDER BY c.id OFFSET @from LIMIT @count"
    parameters = [{"name": "@from", "value": 1}, {"name": "@count", "value": 1}]
    assert await collect(items.query_items(query, parameters=parameters, partition_key="t1")) == ["b"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT VALUE c.n FROM c WHERE c.id = 'a'", [1, 10]),
        ("SELECT VALUE c.n FROM c WHERE c.state = 'done' ORDER BY c.n DESC", [10, 2.5, 1]),
        ("SELECT VALUE COUNT(1) FROM c", [6]),
        ("SELECT VALUE MAX(c.n) FROM c WHERE IS_NUMBER(c.n)", [10]),
        (
            "SELECT c.tenant, COUNT(1) AS k FROM c GROUP BY c.tenant",
            [{"tenant": "t1", "k": 5}, {"tenant": "t2", "k": 1}],
        ),
        ("SELECT DISTINCT VALUE c.tenant FROM c", ["t1", "t2"]),
        ("SELECT TOP 1 VALUE c.tenant FROM c ORDER BY c.tenant DESC", ["t2"]),
    ],
)
async def test_queries_across_partitions(items: Any, query: str, expected: list[Any]) -> None:
    assert await collect(items.query_items(query, **ACROSS_PARTITIONS[type(items)])) == expected


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT * FROM c WHERE", "incorrect syntax near 'the end'"),
        ("SELECT * FROM c WHERE c.n == 1", "incorrect syntax near '='"),
        ("SELECT * FROM c WHERE x.n = 1", "Identifier 'x' could not be resolved"),
        ("SELECT * FROM c WHERE c.n = @missing", "parameter @missing"),
        ("SELECT * FROM c WHERE FROBNICATE(c.n)", "'FROBNICATE' is not a recognized built-in function"),
        ("SELECT * FROM c WHERE LOWER(c.a, c.b) = 'x'", "another number of arguments"),
        ("SELECT * FROM c WHERE udf.f(c.n)", "user-defined functions are not supported"),
        ("SELECT * FROM c WHERE EXISTS(SELECT VALUE t FROM t IN c.tags)", "subqueries"),
        ("SELECT * FROM c WHERE c.n = (SELECT VALUE 1)", "subqueries are not supported"),
        ("SELECT VALUE t FROM t IN c.tags", "only a whole container"),
        ("SELECT * FROM c WHERE NOT c.n = 1", "write NOT"),
        ("SELECT * FROM c WHERE c.n & 1 = 1", "operator not supported"),
        ("SELECT * FROM c WHERE (c.a ?? c.b) = 1", "operator not supported"),
        ("SELECT c.value FROM c", 'is written c["name"]'),
        ("SELECT * FROM c JOIN t IN c.tags", "single input set"),
        ("SELECT c.id, c.nested.id FROM c", "same name"),
        ("SELECT c.id, COUNT(1) AS k FROM c", "not contained in either an aggregate function or the GROUP BY"),
        (
            "SELECT c.state, c.n FROM c GROUP BY c.state",
            "not contained in either an aggregate function or the GROUP BY",
        ),
        ("SELECT * FROM c WHERE COUNT(c.n) > 1", "only allowed in the select list"),
        ("SELECT c.state FROM c GROUP BY c.state ORDER BY c.state", "ORDER BY is not supported together"),
        ("SELECT * FROM c ORDER BY LOWER(c.state)", "could not be mapped to a path"),
        ("SELECT * FROM c ORDER BY c.nested.k", "order-by item is excluded"),
        ("SELECT * FROM c ORDER BY c.n, c.state", "composite index"),
        ("SELECT * FROM c ORDER BY c.state, c.n", "composite index"),
        ("SELECT TOP 1 * FROM c OFFSET 1 LIMIT 1", "TOP cannot be used"),
        ("SELECT TOP -1 * FROM c", "expected a whole number"),
        ("SELECT * FROM c WHERE c.state LIKE '[a-d]%'", "character set"),
        ("DELETE FROM c", "expected 'SELECT'"),
    ],
)
def test_what_is_wrong_or_unsupported_is_400_and_named(sync_items: ContainerProxy, query: str, message: str) -> None:
    with pytest.raises(CosmosHttpResponseError) as caught:
        list(sync_items.query_items(query, partition_key="t1"))
    assert caught.value.status_code == 400
    assert message in str(caught.value.message)


def test_an_index_order_may_be_reversed_as_a_whole_only(sync_items: ContainerProxy) -> None:
    def ordered(order: str) -> list[dict[str, Any]]:
        return list(sync_items.query_items("SELECT c.id FROM c ORDER BY " + order, partition_key="t1"))  # noqa: S608

    assert ordered("c.state, c.n DESC") == ordered("c.state DESC, c.n")[::-1]
    with pytest.raises(CosmosHttpResponseError, match="composite index"):
        ordered("c.state DESC, c.n DESC")


def test_a_query_across_partitions_must_be_asked_for(sync_items: ContainerProxy) -> None:
    """The synchronous client's default; the asynchronous one always asks."""
    with pytest.raises(CosmosHttpResponseError, match="Cross partition query is required but disabled"):
        list(sync_items.query_items("SELECT * FROM c"))
