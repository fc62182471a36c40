"""docs/data.md and a migrated database tell of the same tables, columns and indexes."""

from __future__ import annotations

import re
from typing import Any

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
# Tables whose columns other programs use: the page has them one by one.
SHARED = ("users", "manga", "genres", "user_library", "chapters", "notifications", "sync_state")


def names_in(text: str) -> set[str]:
    return set(re.findall(r"`([a-z_]+)`", text))


def row_of(table: str) -> str:
    match = re.search(rf"^\| `{table}`.*$", PAGE, re.MULTILINE)
    assert match, table
    return match[0]


def columns(connection: Any, table: str) -> set[str]:
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
        " AND table_schema = 'public'",
        [table],
    ).fetchall()
    return {name for (name,) in rows}


def test_every_table_is_on_the_page(connection: Any) -> None:
    rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    assert {name for (name,) in rows} <= names_in(PAGE)


def test_rows_of_shared_tables_have_all_columns(connection: Any) -> None:
    for table in SHARED:
        assert columns(connection, table) <= names_in(row_of(table)), table


def test_the_page_names_no_column_that_is_not_there(connection: Any) -> None:
    values = {"user_role", "en"}  # a type and a default
    values |= {kind for (kind,) in connection.execute("SELECT sync_type FROM sync_state")}
    for table in SHARED:
        known = columns(connection, table) | {table} | values
        if table == "genres":
            known |= columns(connection, "manga_genres") | {"manga_genres"}
        assert names_in(row_of(table)) <= known, table


def test_named_indexes_exist(connection: Any) -> None:
    rows = connection.execute("SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")
    named = set(re.findall(r"`(idx_[a-z_]+)`", PAGE))
    assert len(named) == 5
    assert named <= {name for (name,) in rows}
