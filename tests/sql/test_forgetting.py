"""Notifications of deleted users and titles go too, whoever deletes and wherever the tables are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import sql

ROWS = """
INSERT INTO app.users (id, username) VALUES ('6f1c1d8e-0000-4000-8000-0000000000a1', 'noor');
INSERT INTO app.manga (id, title) VALUES (1, 'One');
INSERT INTO app.notifications (user_id, manga_id, message) VALUES
    ('6f1c1d8e-0000-4000-8000-0000000000a1', NULL, 'of the user'), (NULL, 1, 'of the title');
"""


@pytest.fixture
def schema_app(empty_database_url: str) -> Iterator[sql.Connection]:
    """A session without a search_path, beside the programs' tables in a schema `app`."""
    with sql.connect(empty_database_url) as connection:
        connection.execute("CREATE SCHEMA app")
        joint = "&" if "?" in empty_database_url else "?"
        sql.migrate(f"{empty_database_url}{joint}options=-csearch_path%3Dapp")
        connection.execute(ROWS.encode())
        yield connection


@pytest.fixture
def janitor(schema_app: sql.Connection) -> Iterator[sql.Connection]:
    """The same as a role that may delete users and titles, and nothing else."""
    schema_app.execute("DROP ROLE IF EXISTS janitor")
    schema_app.execute("CREATE ROLE janitor")
    schema_app.execute("GRANT USAGE ON SCHEMA app TO janitor")
    schema_app.execute("GRANT SELECT, DELETE ON app.users, app.manga TO janitor")
    schema_app.execute("SET ROLE janitor")
    yield schema_app
    schema_app.execute("RESET ROLE")
    schema_app.execute("DROP OWNED BY janitor")
    schema_app.execute("DROP ROLE janitor")


@pytest.mark.parametrize(("table", "left"), [("users", "of the title"), ("manga", "of the user")])
def test_a_role_without_rights_on_notifications_can_delete(
    janitor: sql.Connection, table: str, left: str
) -> None:
    janitor.execute(f"DELETE FROM app.{table}".encode())
    janitor.execute("RESET ROLE")
    assert janitor.execute("SELECT message FROM app.notifications").fetchall() == [(left,)]


def test_titles_are_touched_by_sessions_without_the_search_path(
    schema_app: sql.Connection,
) -> None:
    schema_app.execute("UPDATE app.manga SET updated_at = '2020-01-01'")
    schema_app.execute("UPDATE app.manga SET title = 'Two'")
    found = schema_app.execute("SELECT updated_at > '2021-01-01' FROM app.manga").fetchall()
    assert found == [(True,)]


def test_no_other_role_can_attach_what_acts_with_the_owners_rights(
    connection: sql.Connection,
) -> None:
    found = connection.execute(
        "SELECT prosecdef, proowner = relowner, NOT EXISTS ("
        "   SELECT FROM aclexplode(proacl) WHERE grantee = 0)"
        " FROM pg_proc, pg_class WHERE proname = 'mangahub_forget_notifications'"
        " AND pg_class.oid = 'notifications'::regclass"
    ).fetchall()
    assert found == [(True, True, True)]
