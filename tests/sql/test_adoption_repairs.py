"""Old rows that do not fit the schema: what `migrate` makes of them, and that none is lost."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import sql

USUAL = (Path(__file__).parent / "old_databases" / "usual.sql").read_text()
CHAPTER = "0b000000-0000-4000-8000-0000000000aa"


def migrated(url: str, *changes: str) -> None:
    """The usual old database, altered as given and then adopted."""
    with sql.connect(url) as connection:
        connection.execute(USUAL.encode())
        for change in changes:
            connection.execute(change.encode())
    sql.migrate(url)


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    with sql.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()


NULLABLE = "ALTER TABLE chapters ALTER COLUMN chapter_number DROP NOT NULL"
UNBOUNDED = "ALTER TABLE chapters ALTER COLUMN chapter_number TYPE numeric"


@pytest.mark.parametrize(
    ("change", "value", "noted"),
    [
        pytest.param(NULLABLE, "NULL", None, id="no number"),
        pytest.param(UNBOUNDED, "'NaN'", "NaN", id="not a number"),
        pytest.param(f"{NULLABLE}; {UNBOUNDED}", "'NaN'", "NaN", id="not a number, nullable"),
    ],
)
def test_old_chapters_without_a_number_are_kept_as_such(
    empty_database_url: str, change: str, value: str, noted: str | None
) -> None:
    insert = "INSERT INTO chapters (id, manga_id, chapter_number, mangadex_chapter_id) VALUES "
    rows = f"(90, 1, {value}, '{CHAPTER}'), (91, 2, {value}, NULL), (92, 1, {value}, NULL)"
    unkeyed = "ALTER TABLE chapters DROP CONSTRAINT chapters_manga_id_chapter_number_key"
    migrated(empty_database_url, change, unkeyed, insert + rows)
    found = fetch(
        empty_database_url,
        "SELECT id, chapter_number, number_scope FROM chapters WHERE id >= 90 ORDER BY id",
    )
    scopes = [(90, f"chapter:{CHAPTER}"), (91, "row:91"), (92, "row:92")]
    assert found == [(id, Decimal(0), scope) for id, scope in scopes]
    repairs = fetch(
        empty_database_url,
        "SELECT value FROM mangahub_meta WHERE key = 'adoption_repairs'",
    )[0][0]
    note = {"table": "chapters", "column": "chapter_number", "value": noted}
    assert sorted(repairs, key=lambda r: r["id"]) == [note | {"id": id} for id in (90, 91, 92)]


def test_a_chapter_needs_a_number_in_an_adopted_database_too(empty_database_url: str) -> None:
    migrated(empty_database_url, NULLABLE)
    query = (
        "SELECT attnotnull FROM pg_attribute"
        " WHERE attrelid = 'chapters'::regclass AND attname = 'chapter_number'"
    )
    assert fetch(empty_database_url, query) == [(True,)]
