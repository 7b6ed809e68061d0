"""Property: a condition that SQLite tests first never drops a row that the query's own WHERE would keep."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from local.cosmos.query.engine import compile_query, evaluate
from local.cosmos.query.pushdown import sql_conditions

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)


@given(name=texts, stored=scalars, wanted=scalars, several=st.booleans())
@example(name="n", stored=3.0, wanted=3, several=False)
@example(name='a"b\\c', stored="x", wanted="x", several=False)
@example(name="é", stored="a\0b", wanted="a\0b", several=True)
@example(name="n", stored=2**53 + 1, wanted=2**53 + 1, several=True)
@example(name="n", stored=True, wanted=1, several=False)
def test_sqlite_keeps_what_where_keeps(name: str, stored: Any, wanted: Any, several: bool) -> None:
    condition = "IN (@v, 'another')" if several else "= @v"
    query = f"SELECT * FROM c WHERE c[{json.dumps(name)}] {condition} AND c.id = 'a'"  # noqa: S608 - not for SQLite
    document = {"id": "a", name: stored} if name != "id" else {"id": "a"}
    expected = evaluate(query, {"@v": wanted}, [document])

    sql, values = sql_conditions(compile_query(query).select, {"@v": wanted})
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE items (id TEXT, body TEXT)")
        connection.execute("INSERT INTO items VALUES ('a', ?)", (json.dumps(document, ensure_ascii=False),))
        kept = connection.execute(f"SELECT COUNT(*) FROM items WHERE 1{sql}", values).fetchone()[0]  # noqa: S608
    assert kept >= len(expected)


def test_equality_on_the_id_and_on_plain_paths_is_pushed_down() -> None:
    query = "SELECT * FROM c WHERE c.id = @id AND c.a.b IN (1, 'x') AND c.n > 1 AND c.m = 0.5"
    assert sql_conditions(compile_query(query).select, {"@id": "i"}) == (
        " AND id IN (?) AND json_extract(body, ?) IN (?, ?)",
        ["i", '$."a"."b"', 1, "x"],
    )
