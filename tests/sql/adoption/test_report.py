"""What `migrate` says of the tables it found or made, and of columns that stayed as they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sql
from batch.commands.doctor.database_checks import check_columns
from tests.support.paths import OLD_DATABASES

USUAL = (OLD_DATABASES / "usual.sql").read_text()
Run = Callable[..., Any]


def execute(url: str, *statements: str) -> None:
    with sql.connect(url) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.parametrize(
    ("before", "said"),
    [
        pytest.param("SELECT", "made new tables in schema public", id="an empty database"),
        pytest.param(USUAL, "adopted the tables of schema public", id="an old database"),
        pytest.param(
            "CREATE SCHEMA app; CREATE TABLE app.users (id bigint)",
            "made new tables in schema public",
            id="another program's users",
        ),
    ],
)
def test_it_says_whether_tables_were_adopted_or_made(
    empty_database_url: str, run_batch: Run, before: str, said: str
) -> None:
    execute(empty_database_url, before)
    done = run_batch("migrate", env={"DATABASE_URL": empty_database_url})
    assert done.code == 0
    assert done.stdout.splitlines()[-1] == said
    again = run_batch("migrate", env={"DATABASE_URL": empty_database_url})
    assert again.stdout.splitlines() == ["the schema is current"]


DATES = "ALTER TABLE chapters ALTER COLUMN published_at TYPE date"


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        pytest.param(
            "CREATE VIEW named AS SELECT title FROM manga",
            ["manga.title", "character varying(255)", "text", "view named"],
            id="a view",
        ),
        pytest.param(
            f"{DATES}; CREATE MATERIALIZED VIEW days AS SELECT published_at FROM chapters",
            ["chapters.published_at", "date", "timestamp with time zone", "view days"],
            id="a materialised view",
        ),
        pytest.param(
            "ALTER TABLE manga ADD s text GENERATED ALWAYS AS (upper(author)) STORED",
            ["manga.author", "character varying(255)", "generated column s"],
            id="a generated column",
        ),
        pytest.param(
            "CREATE POLICY own ON users USING (username = current_user)",
            ["users.username", "character varying(50)", "policy own on table users"],
            id="a policy",
        ),
        pytest.param(
            "ALTER TABLE notifications ADD data json;"
            " CREATE VIEW d AS SELECT data FROM notifications",
            ["notifications.data", "json", "jsonb", "view d"],
            id="a view on a column of our name",
        ),
    ],
)
def test_a_column_that_keeps_its_type_is_named_with_what_depends_on_it(
    empty_database_url: str, run_batch: Run, change: str, facts: list[str]
) -> None:
    execute(empty_database_url, USUAL, change)
    done = run_batch("migrate", env={"DATABASE_URL": empty_database_url})
    assert done.code == 0
    warnings = [line for line in done.stderr.splitlines() if " WARNING " in line]
    assert len(warnings) == 1
    assert all(fact in warnings[0] for fact in facts), warnings
    with sql.connect(empty_database_url) as connection:
        check = check_columns(connection)
    assert not check.is_well
    assert all(fact in check.fact for fact in facts)


def test_once_the_column_is_altered_by_hand_the_warning_is_gone(empty_database_url: str) -> None:
    execute(empty_database_url, USUAL, "CREATE VIEW named AS SELECT title FROM manga")
    sql.migrate(empty_database_url)
    with sql.connect(empty_database_url) as connection:
        (line,) = sql.find_narrow_columns(connection)
        statement = line.partition("run ")[2].partition(",")[0]
        connection.execute("DROP VIEW named")
        connection.execute(statement.encode())
        assert sql.find_narrow_columns(connection) == []


@pytest.mark.parametrize("variant", ["usual", "before_sync"])
def test_usual_databases_give_no_warnings(empty_database_url: str, variant: str) -> None:
    path = OLD_DATABASES / f"{variant}.sql"
    execute(empty_database_url, path.read_text())
    applied = sql.migrate(empty_database_url)
    assert sql.look_back(empty_database_url, applied).warnings == []


def test_a_fresh_database_has_no_narrow_columns(connection: sql.Connection) -> None:
    assert sql.find_narrow_columns(connection) == []
