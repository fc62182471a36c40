"""Old rows that do not fit the schema: what `migrate` makes of them, and that none is lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import sql
from readers import library, users
from readers.errors import Taken
from tests.support.paths import OLD_DATABASES

USUAL = (OLD_DATABASES / "usual.sql").read_text()
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


def test_a_total_that_is_no_number_is_an_unknown_one(empty_database_url: str) -> None:
    change = "ALTER TABLE manga ALTER COLUMN total_chapters TYPE numeric"
    migrated(empty_database_url, change, "UPDATE manga SET total_chapters = 'NaN' WHERE id = 1")
    totals = "SELECT id, total_chapters FROM manga ORDER BY id"
    assert fetch(empty_database_url, totals) == [(1, None), (2, None), (3, Decimal(12))]
    baselines = "SELECT manga_id, latest_chapter FROM chapter_baselines"
    assert fetch(empty_database_url, baselines) == [(3, Decimal(12))]
    noted = "SELECT value FROM mangahub_meta WHERE key = 'adoption_repairs'"
    repair = {"table": "manga", "column": "total_chapters", "id": 1, "value": "NaN"}
    assert fetch(empty_database_url, noted) == [([repair],)]


UNKEYED_LIBRARY = "ALTER TABLE user_library DROP CONSTRAINT user_library_user_id_manga_id_key"
UNKEYED_NAMES = "ALTER TABLE users DROP CONSTRAINT users_username_key"


def test_a_library_with_repeated_pairs_keeps_them_and_gets_no_further_ones(
    empty_database_url: str,
) -> None:
    repeat = "INSERT INTO user_library (user_id, manga_id) SELECT user_id, 1 FROM user_library"
    migrated(empty_database_url, UNKEYED_LIBRARY, repeat)
    count = "SELECT manga_id, count(*) FROM user_library GROUP BY 1 ORDER BY 1"
    assert fetch(empty_database_url, count) == [(1, 4)]
    with sql.connect(empty_database_url) as connection:
        mirela = users.find_user(connection, "mirela")
        titles = [library.find_title(connection, title) for title in ("1", "2", "2")]
        for _ in range(2):
            library.add_to_library(connection, mirela, titles)
        listed = library.list_library(connection, mirela)
    assert fetch(empty_database_url, count) == [(1, 4), (2, 1)]
    assert [title.id for title in listed] == [1, 2]


def unique_columns(url: str) -> set[str]:
    query = (
        "SELECT attname FROM pg_index JOIN pg_attribute ON attrelid = indrelid"
        " AND attnum = indkey[0] WHERE indrelid = 'users'::regclass AND indisunique"
    )
    return {name for (name,) in fetch(url, query)}


def test_names_of_users_become_unique_where_they_are(empty_database_url: str) -> None:
    emails = "ALTER TABLE users DROP CONSTRAINT users_email_key"
    migrated(empty_database_url, UNKEYED_NAMES, emails)
    assert unique_columns(empty_database_url) >= {"username", "email"}


def test_users_who_share_a_name_are_kept_and_no_third_is_added(empty_database_url: str) -> None:
    second = "INSERT INTO users (username, password_hash, email) VALUES ('mirela', 'x', 'm@x')"
    migrated(empty_database_url, UNKEYED_NAMES, second)
    assert "username" not in unique_columns(empty_database_url)
    with sql.connect(empty_database_url) as connection:
        for name, email in (("mirela", None), ("other", "m@x")):
            with pytest.raises(Taken, match="exists"):
                users.add_user(connection, name, email, None)
        users.add_user(connection, "other", None, None)
    assert fetch(empty_database_url, "SELECT count(*) FROM users") == [(4,)]
