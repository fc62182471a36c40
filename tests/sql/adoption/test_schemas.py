"""Which schema's tables are used: those that are there, wherever the search path begins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sql
from batch.commands.doctor.database_checks import check_schema
from tests.support.databases import limited_role
from tests.support.paths import OLD_DATABASES

USUAL = (OLD_DATABASES / "usual.sql").read_text()
# Of an old database's schema: how many of our tables it has after the migration.
OURS = "SELECT count(*) FROM pg_tables WHERE schemaname = %s AND tablename LIKE 'sync_%%'"


@pytest.fixture
def old_url(empty_database_url: str) -> str:
    """An old database in `public`, and an empty schema `other`."""
    with sql.connect(empty_database_url) as connection:
        connection.execute(f"{USUAL}; CREATE SCHEMA other".encode())
    return empty_database_url


def set_path(url: str, path: str) -> None:
    with sql.connect(url) as connection:
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET search_path = {path}'.encode())


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("SELECT", id="nothing"),
        pytest.param("CREATE TABLE other.users (id int)", id="a table of another program"),
        pytest.param("CREATE TABLE other.manga (id int)", id="a table of another catalogue"),
    ],
)
def test_tables_are_found_behind_another_schema_of_the_path(old_url: str, before: str) -> None:
    with sql.connect(old_url) as connection:
        connection.execute(before.encode())
        users = connection.execute("SELECT count(*) FROM users").fetchone()
    set_path(old_url, "other, public")
    applied = sql.migrate(old_url)
    assert sql.look_back(old_url, applied).origin == "adopted the tables of schema public"
    with sql.connect(old_url) as connection:
        sql.require_current(connection)
        assert connection.execute("SELECT count(*) FROM users").fetchone() == users
        assert connection.execute(OURS, ["other"]).fetchone() == (0,)
    assert sql.migrate(old_url) == []


def test_a_path_that_changes_later_changes_nothing(old_url: str) -> None:
    sql.migrate(old_url)
    set_path(old_url, "other, public")
    with sql.connect(old_url) as connection:
        sql.require_current(connection)
        assert connection.execute("SELECT current_schema()").fetchone() == ("public",)


@pytest.mark.parametrize("path", ["other", '"$user", other', "''"])
@pytest.mark.parametrize("is_migrated", [False, True], ids=["an old one", "a migrated one"])
def test_tables_that_the_path_does_not_lead_to_are_named(
    old_url: str, path: str, is_migrated: bool
) -> None:
    if is_migrated:
        sql.migrate(old_url)
    set_path(old_url, path)
    line = r"in schema public, and the search path is .*options=-csearch_path%3Dpublic"
    with pytest.raises(sql.Unsuitable, match=line):
        sql.migrate(old_url)
    with sql.connect(old_url) as connection:
        assert connection.execute(OURS, ["other"]).fetchone() == (0,)
        with pytest.raises(sql.Unsuitable, match=line):
            sql.require_current(connection)
        assert check_schema(connection).severity == "bad"


def test_a_path_in_the_url_chooses_where_new_tables_are_made(old_url: str) -> None:
    url = f"{old_url}&options=-csearch_path%3Dother"
    adoption = sql.look_back(url, sql.migrate(url))
    assert adoption.origin == "made new tables in schema other"
    assert "schema public holds tables named manga and users too" in adoption.warnings[0]
    with sql.connect(url) as connection:
        assert check_schema(connection).is_well
    set_path(old_url, "other, public")
    with sql.connect(old_url) as connection:
        check = check_schema(connection)
    assert (check.severity, "public" in check.fact) == ("warn", True)


def test_the_command_ends_with_one_line(old_url: str, run_batch: Callable[..., Any]) -> None:
    set_path(old_url, "other")
    done = run_batch("migrate", env={"DATABASE_URL": old_url})
    assert done.code == 1
    (line,) = done.stderr.splitlines()
    assert "in schema public, and the search path is other" in line


def test_a_schema_that_the_role_may_not_use_is_named(old_url: str) -> None:
    sql.migrate(old_url)
    with sql.connect(old_url) as connection, limited_role(connection, old_url, 5) as url:
        connection.execute("REVOKE USAGE ON SCHEMA public FROM public")
        with sql.connect(url) as guest:
            with pytest.raises(sql.Unsuitable, match="GRANT USAGE ON SCHEMA public TO few_"):
                sql.require_current(guest)
