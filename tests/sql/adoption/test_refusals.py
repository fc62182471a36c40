"""Old databases that cannot be adopted are refused in one line, and stay exactly as they were."""

from __future__ import annotations

from typing import Any

import pytest

import sql
from tests.support.paths import OLD_DATABASES

USUAL = (OLD_DATABASES / "usual.sql").read_text()
TEXT_NUMBERS = (
    "ALTER TABLE chapters ALTER COLUMN chapter_number TYPE text USING chapter_number::text"
)


def build(url: str, *changes: str) -> None:
    with sql.connect(url) as connection:
        for statement in (USUAL, *changes):
            connection.execute(statement.encode())


def catalogue(url: str) -> list[tuple[Any, ...]]:
    """Every table of the database with its columns and their types."""
    with sql.connect(url) as connection:
        return connection.execute(
            "SELECT table_name, column_name, data_type, character_maximum_length"
            " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        ).fetchall()


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        pytest.param(
            f"{TEXT_NUMBERS}; UPDATE chapters SET chapter_number = '12a' WHERE id = 2",
            ["chapters.chapter_number", "'12a'", "id 2", "numeric(10,2)", "text"],
            id="a number that is none",
        ),
        pytest.param(
            "ALTER TABLE chapters ALTER COLUMN chapter_number TYPE float;"
            " UPDATE chapters SET chapter_number = 1e9 WHERE id = 2",
            ["chapters.chapter_number", "'1000000000'", "id 2"],
            id="a number that is too large",
        ),
        pytest.param(
            "UPDATE manga SET total_chapters = 100000000 WHERE id = 3",
            ["manga.total_chapters", "'100000000'", "id 3", "below 100,000,000"],
            id="too many chapters",
        ),
        pytest.param(
            "ALTER TABLE manga ALTER COLUMN mangadex_id TYPE text;"
            " UPDATE manga SET mangadex_id = 'lantern' WHERE id = 1",
            ["manga.mangadex_id", "'lantern'", "id 1", "uuid"],
            id="an id that is none",
        ),
        pytest.param(
            "ALTER TABLE notifications ADD COLUMN data text;"
            " UPDATE notifications SET data = '{it''s' WHERE id = 2",
            ["notifications.data", "'{it''s'", "id 2", "jsonb", "text"],
            id="text that is no JSON",
        ),
        pytest.param(
            "ALTER TABLE chapters DROP pages; ALTER TABLE chapters ADD COLUMN pages point"
            " DEFAULT '(1,2)'",
            ["chapters.pages", "point", "integer"],
            id="a type that cannot be converted",
        ),
        pytest.param(
            "ALTER TABLE notifications ADD COLUMN delivered_at boolean",
            ["notifications.delivered_at", "boolean", "timestamp with time zone"],
            id="another type under a name of ours",
        ),
        pytest.param(
            "ALTER TABLE manga DROP CONSTRAINT manga_pkey CASCADE",
            ["manga.id has no unique key", "ADD PRIMARY KEY (id)"],
            id="titles without a key",
        ),
        pytest.param(
            "DROP TABLE users CASCADE; CREATE TABLE users (id bigint PRIMARY KEY, username text)",
            ["users.id has the type bigint", "uuid"],
            id="users with other ids",
        ),
        pytest.param(
            "DROP TABLE users CASCADE; CREATE TABLE users (username text)",
            ["users.id does not exist", "uuid"],
            id="users without ids",
        ),
    ],
)
def test_what_cannot_be_converted_is_named_and_nothing_changes(
    empty_database_url: str, change: str, facts: list[str]
) -> None:
    build(empty_database_url, change)
    before = catalogue(empty_database_url)
    with pytest.raises(sql.Unadoptable) as caught:
        sql.migrate(empty_database_url)
    text = str(caught.value)
    assert "\n" not in text
    assert all(fact in text for fact in facts), text
    assert catalogue(empty_database_url) == before


def test_the_adoption_is_that_of_the_run_that_succeeds(empty_database_url: str) -> None:
    spoil = "UPDATE chapters SET chapter_number = '12a' WHERE id = 2"
    build(empty_database_url, TEXT_NUMBERS, spoil)
    with pytest.raises(sql.Unadoptable):
        sql.migrate(empty_database_url)
    with sql.connect(empty_database_url) as connection:
        connection.execute("UPDATE chapters SET chapter_number = '12' WHERE id = 2")
        row = connection.execute(
            "INSERT INTO notifications (type, title, message)"
            " VALUES ('new_chapter', 'Meanwhile', 'Chapter 181') RETURNING id, now()"
        ).fetchone()
        assert row is not None
        sql.migrate(empty_database_url)
        found = connection.execute(
            "SELECT value ->> 'last_notification_id', (value ->> 'adopted_at')::timestamptz > %s"
            " FROM mangahub_meta WHERE key = 'adoption'",
            row[1:],
        ).fetchone()
    assert found == (str(row[0]), True)


@pytest.mark.parametrize(
    ("table", "column", "old", "value", "expected", "kept"),
    [
        ("notifications", "data", "text", "'{\"a\": 1}'", "jsonb", {"a": 1}),
        ("notifications", "data", "json", "'[2]'", "jsonb", [2]),
        ("notifications", "event_id", "integer DEFAULT 0", "7", "text", "7"),
        ("notifications", "event_id", "uuid", "'0a000000-0000-4000-8000-00000000000e'", "text",
         "0a000000-0000-4000-8000-00000000000e"),
        ("manga", "content_rating", "varchar(5) NOT NULL DEFAULT 'safe'", "'erot'", "text", "erot"),
        ("manga", "numbering_restarts", "boolean", "NULL", "boolean", False),
        ("manga", "mangadex_version", "text", "'12'", "integer", 12),
        ("chapters", "translated_language", "varchar(2)", "NULL", "text", "en"),
    ],
)  # fmt: skip
def test_columns_of_our_names_are_converted_where_nothing_is_lost(
    empty_database_url: str,
    table: str,
    column: str,
    old: str,
    value: str,
    expected: str,
    kept: object,
) -> None:
    add = f"ALTER TABLE {table} ADD COLUMN {column} {old}"
    fill = f"UPDATE {table} SET {column} = {value} WHERE id = 1"
    build(empty_database_url, add, fill)
    sql.migrate(empty_database_url)
    with sql.connect(empty_database_url) as connection:
        row = connection.execute(
            f"SELECT pg_typeof({column})::text, {column} FROM {table} WHERE id = 1".encode()
        ).fetchone()
        connection.execute(
            "INSERT INTO manga (slug, title, content_rating) VALUES ('n', 'N', NULL)"
        )
    assert row == (expected, kept)
