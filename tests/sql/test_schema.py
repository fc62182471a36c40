"""Migrations: in order, once, safe against each other, and refused where they do not fit."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest

import sql
from sql import schema
from tests.support.paths import ROOT


def names() -> list[str]:
    return [m.name for m in schema.migrations()]


def test_an_empty_database_gets_every_migration_once(empty_database_url: str) -> None:
    assert sql.migrate(empty_database_url) == names()
    assert sql.migrate(empty_database_url) == []
    with sql.connect(empty_database_url) as connection:
        sql.require_current(connection)


def test_six_programs_at_once_apply_each_migration_once(empty_database_url: str) -> None:
    code = "import sys, sql; print(*sql.migrate(sys.argv[1]))"
    command = [sys.executable, "-c", code, empty_database_url]
    running = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(6)
    ]
    outputs = [process.communicate(timeout=30)[0] for process in running]
    assert [process.returncode for process in running] == [0] * 6
    assert sorted(" ".join(outputs).split()) == names()


def test_a_fresh_database_has_no_adoption_and_replays_all(connection: sql.Connection) -> None:
    row = connection.execute("SELECT value FROM mangahub_meta WHERE key = 'adoption'").fetchone()
    assert row == ({"adopted_at": None, "last_notification_id": 0},)
    assert connection.execute("SELECT count(*) FROM chapter_baselines").fetchone() == (0,)


def test_every_workflow_has_an_idle_state(connection: sql.Connection) -> None:
    rows = connection.execute("SELECT sync_type, status FROM sync_state ORDER BY 1").fetchall()
    kinds = ["chapter_check", "chapter_feed", "fetch_wanted", "initial_sync", "metadata_refresh"]
    assert rows == [(kind, "idle") for kind in (*kinds, "new_manga_poll")]


@pytest.mark.parametrize("kind", ["plain", "adopted"])
def test_an_older_schema_is_refused_and_the_command_is_named(
    empty_database_url: str, kind: str
) -> None:
    with sql.connect(empty_database_url) as connection:
        if kind == "adopted":
            connection.execute("CREATE TABLE manga (id bigserial PRIMARY KEY, title text)")
        with pytest.raises(sql.SchemaOutdated, match="mangahub-batch migrate"):
            sql.require_current(connection)


def test_one_missing_migration_is_noticed(connection: sql.Connection) -> None:
    connection.execute("DELETE FROM sync_schema_migrations WHERE name = %s", (names()[-1],))
    with pytest.raises(sql.SchemaOutdated):
        sql.require_current(connection)


def test_a_newer_schema_is_refused_by_both(database_url: str, connection: sql.Connection) -> None:
    connection.execute(
        "INSERT INTO sync_schema_migrations (name, sha256) VALUES ('9999_from_the_future', 'x')"
    )
    with pytest.raises(sql.SchemaTooNew, match="9999_from_the_future"):
        sql.require_current(connection)
    with pytest.raises(sql.SchemaTooNew):
        sql.migrate(database_url)


def test_a_migration_with_another_content_is_reported(
    database_url: str, connection: sql.Connection
) -> None:
    connection.execute("UPDATE sync_schema_migrations SET sha256 = 'x' WHERE name LIKE '0002%'")
    with pytest.raises(sql.SchemaChanged, match="0002_mangahub_tables"):
        sql.require_current(connection)
    with pytest.raises(sql.SchemaChanged):
        sql.migrate(database_url)


def test_a_migration_that_fails_leaves_nothing_and_can_be_run_again(
    empty_database_url: str,
) -> None:
    with sql.connect(empty_database_url) as connection:
        # In the way of a table of 0007, after six migrations that fit.
        connection.execute("CREATE TABLE sync_pages (mine integer)")
        with pytest.raises(sql.MigrationFailed, match=r"0007_sync_tables failed: .*sync_pages"):
            sql.migrate(empty_database_url)
        half = connection.execute("SELECT to_regclass('notification_events')").fetchone()
        assert half == (None,)
        connection.execute("DROP TABLE sync_pages")
    assert sql.migrate(empty_database_url) == names()[6:]


def test_a_table_that_others_keep_locked_means_try_again_later(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_TABLE_TIMEOUT_S", 0.1)
    with sql.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE manga (id bigserial PRIMARY KEY, title text NOT NULL)")
        with connection.transaction():
            connection.execute("SELECT FROM manga")
            with pytest.raises(sql.DatabaseDown, match="locked"):
                sql.migrate(empty_database_url)
    assert "0011_first_rows" in sql.migrate(empty_database_url)


def test_neither_superuser_nor_extensions_are_needed(
    empty_database_url: str, admin: sql.Connection
) -> None:
    url = as_role(empty_database_url, "plain_owner")
    name = empty_database_url.partition("?")[0].rpartition("/")[2]
    admin.execute("DROP ROLE IF EXISTS plain_owner")
    admin.execute("CREATE ROLE plain_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
    try:
        admin.execute(f'ALTER DATABASE "{name}" OWNER TO plain_owner'.encode())
        assert sql.migrate(url) == names()
        with sql.connect(url) as connection:
            found = connection.execute("SELECT extname FROM pg_extension").fetchall()
        assert found == [("plpgsql",)]
    finally:
        with sql.connect(empty_database_url) as connection:
            connection.execute("DROP OWNED BY plain_owner")
        admin.execute(f'ALTER DATABASE "{name}" OWNER TO postgres'.encode())
        admin.execute("DROP ROLE plain_owner")


def test_tables_that_belong_to_another_role_are_named(
    empty_database_url: str, admin: sql.Connection
) -> None:
    url = as_role(empty_database_url, "guest")
    admin.execute("DROP ROLE IF EXISTS guest")
    admin.execute("CREATE ROLE guest LOGIN")
    with sql.connect(empty_database_url) as connection:
        connection.execute("CREATE TABLE manga (id bigserial PRIMARY KEY, title text)")
        connection.execute("GRANT ALL ON SCHEMA public TO guest")
        try:
            with pytest.raises(sql.DatabaseUnwritable, match=r"(owner|denied).* manga"):
                sql.migrate(url)
        finally:
            connection.execute("DROP OWNED BY guest")
            admin.execute("DROP ROLE guest")


def as_role(url: str, role: str) -> str:
    """The same database as another role; only a server that trusts us allows that."""
    if "//postgres@/" not in url:
        pytest.skip("the given server may ask for a password")
    return url.replace("//postgres@", f"//{role}@")


CHAPTER = (
    "INSERT INTO chapters (manga_id, translated_language, number_scope, chapter_number)"
    " VALUES (1, %s, %s, %s)"
)


@pytest.mark.parametrize(
    ("first", "second", "fits"),
    [
        pytest.param(("en", "", 1), ("en", "", 1), False, id="same number"),
        pytest.param(("en", "", 1), ("en", "", "1.00"), False, id="same number, other spelling"),
        pytest.param(("en", "", 10), ("en", "", "10.5"), True, id="decimals"),
        pytest.param(("en", "", 1), ("pt-br", "", 1), True, id="another language"),
        pytest.param(("en", "volume:1", 1), ("en", "volume:2", 1), True, id="another volume"),
        pytest.param(("en", "volume:1", 1), ("en", "volume:1", 1), False, id="same volume"),
        pytest.param(("en", "", 0), ("en", "chapter:x", 0), True, id="number 0 and no number"),
        pytest.param(("en", "chapter:x", 0), ("en", "chapter:y", 0), True, id="two without number"),
    ],
)
def test_a_number_is_unique_within_its_scope(
    connection: sql.Connection,
    first: tuple[object, ...],
    second: tuple[object, ...],
    fits: bool,
) -> None:
    connection.execute("INSERT INTO manga (id, title) VALUES (1, 'One')")
    connection.execute(CHAPTER.encode(), first)
    if fits:
        connection.execute(CHAPTER.encode(), second)
        return
    with pytest.raises(psycopg.errors.UniqueViolation):
        connection.execute(CHAPTER.encode(), second)


def test_deleting_a_title_or_a_user_takes_along_what_hangs_on_it(
    connection: sql.Connection,
) -> None:
    connection.execute("INSERT INTO manga (id, title) VALUES (1, 'One')")
    connection.execute("INSERT INTO users (username) VALUES ('noor')")
    connection.execute("INSERT INTO user_library (user_id, manga_id) SELECT id, 1 FROM users")
    connection.execute("INSERT INTO notify_keys (user_id) SELECT id FROM users")
    connection.execute(CHAPTER.encode(), ("en", "", 1))
    connection.execute(
        "INSERT INTO notification_events (dedup_key, type, manga_id, payload)"
        " VALUES ('k', 'new-manga', 1, '{}')"
    )
    connection.execute("INSERT INTO chapter_baselines VALUES (1, 'en', 1)")
    connection.execute("DELETE FROM manga")
    connection.execute("DELETE FROM users")
    for table in ("chapters", "notification_events", "chapter_baselines", "notify_keys"):
        assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (0,)


def test_notifications_go_with_their_user_and_their_title(connection: sql.Connection) -> None:
    connection.execute(
        "INSERT INTO users (id, username) SELECT gen_random_uuid(), 'u' || n"
        " FROM generate_series(1, 3) n"
    )
    connection.execute(
        "INSERT INTO manga (slug, title) SELECT 't' || n, 'T' FROM generate_series(1, 2) n"
    )
    connection.execute(
        "INSERT INTO notifications (user_id, manga_id, message)"
        " SELECT users.id, manga.id, 'news' FROM users, manga"
    )
    left = "SELECT count(*) FROM notifications"
    connection.execute("DELETE FROM users WHERE username IN ('u1', 'u2')")
    assert connection.execute(left).fetchone() == (2,)
    connection.execute("DELETE FROM manga WHERE slug = 't2'")
    assert connection.execute(left).fetchone() == (1,)
