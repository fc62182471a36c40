"""`migrate` on MangaHub databases that existed before: every row stays, valid data fits."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import psycopg
import pytest

import sql
from tests.support.paths import OLD_DATABASES

FOLDER = OLD_DATABASES
VARIANTS = sorted(path.stem for path in FOLDER.glob("*.sql"))
ADDED = "0a000000-0000-4000-8000-0000000000ff"

Snapshot = dict[str, dict[str, dict[str, Any]]]


@pytest.fixture(params=VARIANTS)
def old_url(request: pytest.FixtureRequest, empty_database_url: str) -> str:
    """A database of each kind, with rows in every table."""
    return build(empty_database_url, request.param)


def build(url: str, variant: str) -> str:
    with sql.connect(url) as connection:
        connection.execute((FOLDER / f"{variant}.sql").read_text().encode())
    return url


def snapshot(connection: sql.Connection, tables: list[str]) -> Snapshot:
    """Every row of the tables by its first column, the values as JSON shows them."""
    return {
        table: {
            str(next(iter(row.values()))): row
            for (row,) in connection.execute(f'SELECT to_jsonb(t) FROM "{table}" t'.encode())
        }
        for table in tables
    }


def tables_of(connection: sql.Connection) -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    return [name for (name,) in rows.fetchall()]


def plain(value: Any) -> Any:
    """A value without what a change of type may change: zone, zeros after the point, case."""
    text = json.dumps(value) if isinstance(value, dict | bool) else str(value)
    text = {"true": "1", "false": "0"}.get(text, text).removesuffix("+00:00").strip() or "None"
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


# What the migration may change in an old value, apart from its type: see the files' comments.
def expected_change(table: str, column: str, old: Any, new: Any) -> bool:
    if (table, column) == ("chapters", "published_at"):
        return old is None
    if (table, column) in {("manga", "mangadex_id"), ("chapters", "mangadex_chapter_id")}:
        return new is None
    if column in ("slug", "name", "sync_type"):
        return str(new).startswith(f"{old}")
    return (table, column) == ("sync_state", "status")


def test_every_old_row_is_there_afterwards_with_its_values(old_url: str) -> None:
    with sql.connect(old_url) as connection:
        tables = tables_of(connection)
        before = snapshot(connection, tables)
        sql.migrate(old_url)
        after = snapshot(connection, tables)
        repairs = connection.execute(
            "SELECT value FROM mangahub_meta WHERE key = 'adoption_repairs'"
        ).fetchone()
    assert repairs is not None
    for table, rows in before.items():
        assert rows, f"the test's own database has no row in {table}"
        for key, row in rows.items():
            compare(table, row, after[table][key])
    changed = [
        (table, column, row[column])
        for table, rows in before.items()
        for key, row in rows.items()
        for column in ("slug", "name", "sync_type", "mangadex_id", "mangadex_chapter_id")
        if column in row and plain(after[table][key][column]) != plain(row[column])
    ]
    noted = [(r["table"], r["column"], r["value"]) for r in repairs[0]]
    assert sorted(noted) == sorted(changed)


def compare(table: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    for column, value in old.items():
        name = "published_at" if column == "release_date" and column not in new else column
        same = plain(new[name]) == plain(value)
        assert same or expected_change(table, column, value, new[name]), (table, column, old, new)


def test_a_second_run_changes_nothing(old_url: str) -> None:
    sql.migrate(old_url)
    with sql.connect(old_url) as connection:
        before = snapshot(connection, tables_of(connection))
        assert sql.migrate(old_url) == []
        sql.require_current(connection)
        assert snapshot(connection, tables_of(connection)) == before


def test_titles_get_the_adoption_as_first_sync_and_their_total_as_baseline(old_url: str) -> None:
    sql.migrate(old_url)
    with sql.connect(old_url) as connection:
        moments = connection.execute(
            "SELECT (value ->> 'adopted_at')::timestamptz FROM mangahub_meta WHERE key = 'adoption'"
        ).fetchone()
        assert moments is not None
        assert moments[0] is not None
        rows = connection.execute(
            "SELECT m.first_synced_at, m.total_chapters,"
            " b.translated_language, b.latest_chapter, b.established_at"
            " FROM manga m LEFT JOIN chapter_baselines b ON b.manga_id = m.id"
        ).fetchall()
    for first, total, language, latest, established in rows:
        assert first == moments[0]
        known = total is not None
        assert language == ("*" if known else None)
        assert latest == (total if known else None)
        assert established == (moments[0] if known else None)


def test_old_notifications_are_marked_as_from_before(old_url: str) -> None:
    with sql.connect(old_url) as connection:
        last = connection.execute("SELECT max(id) FROM notifications").fetchone()
        sql.migrate(old_url)
        noted = connection.execute(
            "SELECT (value ->> 'last_notification_id')::bigint FROM mangahub_meta"
            " WHERE key = 'adoption'"
        ).fetchone()
    assert noted == last


def test_valid_data_that_old_rules_refused_is_accepted(old_url: str) -> None:
    sql.migrate(old_url)
    with sql.connect(old_url) as connection:
        (manga_id,) = execute_one(
            connection,
            "INSERT INTO manga (slug, title, status, mangadex_id, total_chapters)"
            " VALUES ('new', 'New', 'cancelled', %s, 0) RETURNING id",
            ADDED,
        )
        insert = (
            "INSERT INTO chapters (manga_id, chapter_number, translated_language, number_scope,"
            " volume, pages) VALUES (%s, 0, %s, %s, %s, 0)"
        )
        for row in (("en", "", None), ("fr", "", None), ("en", "volume:2", "2 (special)")):
            connection.execute(insert, (manga_id, *row))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(insert, (manga_id, "en", "", "7"))
        connection.execute(
            "INSERT INTO notifications (user_id, type, message, event_id)"
            " SELECT id, 'MANGA_UPDATE', repeat('long ', 500), 'e1' FROM users"
        )
        connection.execute("UPDATE sync_state SET status = 'running', last_run_at = now()")


def execute_one(connection: sql.Connection, query: str, *values: Any) -> tuple[Any, ...]:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


def test_upserts_find_their_keys(old_url: str) -> None:
    sql.migrate(old_url)
    with sql.connect(old_url) as connection:
        for statement in (
            "INSERT INTO manga (slug, title, mangadex_id) VALUES ('a', 'A', %s)"
            " ON CONFLICT (mangadex_id) DO UPDATE SET title = 'B'",
            "INSERT INTO genres (name) VALUES (%s) ON CONFLICT (name) DO NOTHING",
            "INSERT INTO sync_state (sync_type) VALUES (%s) ON CONFLICT (sync_type) DO NOTHING",
            "INSERT INTO chapters (manga_id, chapter_number, mangadex_chapter_id)"
            " SELECT min(id), 77, %s FROM manga"
            " ON CONFLICT (manga_id, translated_language, number_scope, chapter_number)"
            " DO NOTHING",
            "INSERT INTO chapters (manga_id, chapter_number, mangadex_chapter_id)"
            " SELECT min(id), 77, %s FROM manga ON CONFLICT (mangadex_chapter_id) DO NOTHING",
        ):
            for _ in range(2):
                connection.execute(statement.encode(), (ADDED,))
        rows = execute_one(connection, "SELECT count(*) FROM manga WHERE mangadex_id = %s", ADDED)
    assert rows == (1,)


def test_all_workflows_have_a_state_and_old_states_stay(old_url: str) -> None:
    sql.migrate(old_url)
    with sql.connect(old_url) as connection:
        rows = connection.execute("SELECT sync_type, status FROM sync_state").fetchall()
    assert {name for name, _ in rows} >= {
        "initial_sync", "new_manga_poll", "chapter_check", "chapter_feed", "metadata_refresh",
        "fetch_wanted",
    }  # fmt: skip
    assert {status for _, status in rows} <= {"idle", "running", "completed", "error"}


@pytest.mark.parametrize("table", ["manga", "chapters", "sync_state"])
def test_updated_at_moves_exactly_when_a_row_changes(old_url: str, table: str) -> None:
    sql.migrate(old_url)
    with sql.connect(old_url) as connection:
        if table == "chapters":
            connection.execute('DROP TRIGGER IF EXISTS "A Trigger" ON chapters')
        column = {"manga": "title", "chapters": "title", "sync_state": "error_message"}[table]
        touch = f"UPDATE {table} SET {column} = coalesce({column}, '')"
        connection.execute(touch.encode())
        read = f"SELECT array_agg(updated_at ORDER BY id), max(updated_at), now() FROM {table}"
        before = execute_one(connection, read)
        connection.execute(touch.encode())
        assert execute_one(connection, read)[0] == before[0]
        connection.execute(f"UPDATE {table} SET {column} = {column} || '!'".encode())
        assert all(moment > before[2] for moment in execute_one(connection, read)[0])


def test_that_a_title_was_looked_at_is_no_change_of_it(old_url: str) -> None:
    sql.migrate(old_url)
    with sql.connect(old_url) as connection:
        read = "SELECT array_agg(updated_at ORDER BY id) FROM manga"
        before = execute_one(connection, read)
        connection.execute(
            "UPDATE manga SET last_synced_at = now(), last_chapter_check = now(),"
            " missing_since = now()"
        )
        assert execute_one(connection, read) == before


def test_what_belongs_to_others_is_left_alone(empty_database_url: str) -> None:
    url = build(empty_database_url, "by_hand")
    sql.migrate(url)
    with sql.connect(url) as connection:
        assert execute_one(connection, "SELECT version FROM schema_migrations") == (17,)
        assert execute_one(connection, "SELECT count(*) FROM running") == (2,)
        assert execute_one(connection, "SELECT extra ->> 'a' FROM manga WHERE id = 3") == ("1",)
        connection.execute("UPDATE chapters SET volume = '9' WHERE id = 2")
        title = execute_one(connection, "SELECT title FROM chapters WHERE id = 2")
        assert title == ("One Again",)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("DELETE FROM manga WHERE id = 3")


def test_a_baseline_is_not_lowered_by_later_changes(empty_database_url: str) -> None:
    url = build(empty_database_url, "usual")
    sql.migrate(url)
    with sql.connect(url) as connection:
        connection.execute("UPDATE manga SET total_chapters = 200 WHERE id = 1")
        sql.migrate(url)
        found = execute_one(connection, "SELECT latest_chapter FROM chapter_baselines")
    assert found == (Decimal(180),)


def test_adoption_rewrites_no_table_with_the_usual_types(empty_database_url: str) -> None:
    url = build(empty_database_url, "usual")
    query = (
        "SELECT relname, pg_relation_filenode(oid) FROM pg_class WHERE relkind = 'r'"
        " AND relnamespace = 'public'::regnamespace AND relname = ANY(%s) ORDER BY relname"
    )
    with sql.connect(url) as connection:
        tables = tables_of(connection)
        before = connection.execute(query.encode(), (tables,)).fetchall()
        versions = "SELECT array_agg(xmin::text ORDER BY id) FROM manga"
        rows = execute_one(connection, versions)
        sql.migrate(url)
        assert connection.execute(query.encode(), (tables,)).fetchall() == before
        assert execute_one(connection, versions) == rows


Columns = Callable[[sql.Connection], set[tuple[Any, ...]]]


def columns(connection: sql.Connection) -> set[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT table_name, column_name, data_type, numeric_precision, numeric_scale"
        " FROM information_schema.columns WHERE table_schema = 'public'"
        " AND column_name <> 'id'"
    )
    return set(rows.fetchall())


def keys(connection: sql.Connection) -> set[tuple[Any, ...]]:
    """Tables with the columns of their unique keys, whatever the keys are called."""
    rows = connection.execute(
        "SELECT i.indrelid::regclass::text, array_agg(a.attname::text ORDER BY a.attname)"
        " FROM pg_index i JOIN pg_attribute a"
        " ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)"
        " WHERE i.indisunique AND i.indrelid::regclass::text !~ '^pg_' GROUP BY i.indexrelid, 1"
    )
    return {(table, *names) for table, names in rows.fetchall()}


def triggers(connection: sql.Connection) -> set[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT event_object_table, trigger_name FROM information_schema.triggers"
        " WHERE trigger_name LIKE 'mangahub%'"
    )
    return set(rows.fetchall())


def indexes(connection: sql.Connection) -> set[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT tablename, indexname FROM pg_indexes WHERE indexname LIKE 'idx%'"
    )
    return set(rows.fetchall())


@pytest.mark.parametrize("aspect", [columns, keys, triggers, indexes], ids=lambda f: f.__name__)
@pytest.mark.parametrize("variant", ["usual", "before_sync"])
def test_an_adopted_schema_has_all_that_a_fresh_one_has(
    empty_database_url: str, connection: sql.Connection, variant: str, aspect: Columns
) -> None:
    url = build(empty_database_url, variant)
    sql.migrate(url)
    with sql.connect(url) as adopted:
        missing = aspect(connection) - aspect(adopted)
    # Keys of the source were added before there was any; integer references stay what they are.
    allowed = {row for row in missing if row[1] in ("manga_id", "genre_id") and aspect is columns}
    assert missing <= allowed
