"""Sessions and sign-in links: what opens them, what ends them, and what is stored."""

from __future__ import annotations

import pytest

import sql
from readers import keys, sessions, sign_in_links, users


@pytest.fixture
def mika(connection: sql.Connection) -> users.User:
    return users.add_user(connection, "mika", None, None)


@pytest.mark.parametrize("role", ["user", "admin"])
def test_a_session_is_found_by_its_token_with_the_role_of_its_user(
    connection: sql.Connection, role: str
) -> None:
    user = users.add_user(connection, "mika", None, None, role)
    token = sessions.open_session(connection, user, "Firefox on Linux")
    found = sessions.find_session(connection, token)
    assert found is not None and found.user == user
    assert found.is_operator == (role == "admin")
    assert [s.browser for s in sessions.list_sessions(connection, user)] == ["Firefox on Linux"]


@pytest.mark.parametrize("token", ["", "x" * 43, "\ud800", "a\x00b"])
def test_an_unknown_token_opens_nothing(
    connection: sql.Connection, mika: users.User, token: str
) -> None:
    sessions.open_session(connection, mika, "")
    sign_in_links.make_link(connection, mika)
    assert sessions.find_session(connection, token) is None
    assert sign_in_links.find_link(connection, token) is None
    assert sign_in_links.consume_link(connection, token) is None


def test_neither_a_session_nor_a_link_is_stored_as_it_is(
    connection: sql.Connection, mika: users.User
) -> None:
    tokens = {
        sessions.open_session(connection, mika, ""),
        sign_in_links.make_link(connection, mika),
    }
    stored = connection.execute(
        "SELECT web_sessions::text FROM web_sessions"
        " UNION ALL SELECT web_links::text FROM web_links"
    ).fetchall()
    assert len(stored) == len(tokens) == 2
    assert not any(token in row for token in tokens for (row,) in stored)


@pytest.mark.parametrize(
    ("column", "age", "is_open"),
    [
        ("last_seen_at", "29 days", True),
        ("last_seen_at", "31 days", False),
        ("created_at", "179 days", True),
        ("created_at", "181 days", False),
    ],
)
def test_a_session_ends_when_it_is_not_used_and_when_it_is_old(
    connection: sql.Connection, mika: users.User, column: str, age: str, is_open: bool
) -> None:
    token = sessions.open_session(connection, mika, "")
    connection.execute(f"UPDATE web_sessions SET {column} = now() - interval '{age}'".encode())
    assert (sessions.find_session(connection, token) is not None) == is_open
    assert len(sessions.list_sessions(connection, mika)) == is_open
    sessions.open_session(connection, mika, "")
    count = connection.execute("SELECT count(*) FROM web_sessions").fetchone()
    assert count == (1 + is_open,)


def test_a_visit_prolongs_a_session_and_writes_once_an_hour(
    connection: sql.Connection, mika: users.User
) -> None:
    token = sessions.open_session(connection, mika, "")
    connection.execute("UPDATE web_sessions SET last_seen_at = now() - interval '61 minutes'")
    for _ in range(2):
        assert sessions.find_session(connection, token)
    age = connection.execute("SELECT now() - last_seen_at < '1 minute' FROM web_sessions")
    assert age.fetchone() == (True,)


def test_a_session_is_found_where_nothing_may_be_written(
    connection: sql.Connection, mika: users.User
) -> None:
    token = sessions.open_session(connection, mika, "")
    connection.execute("UPDATE web_sessions SET last_seen_at = now() - interval '61 minutes'")
    connection.execute("SET default_transaction_read_only = on")
    assert [bool(sessions.find_session(connection, token)) for _ in range(2)] == [True, True]


def test_only_the_user_of_a_session_ends_it(connection: sql.Connection, mika: users.User) -> None:
    other = users.add_user(connection, "noor", None, None)
    token = sessions.open_session(connection, mika, "")
    [own] = sessions.list_sessions(connection, mika)
    assert not sessions.end_session(connection, other, own.id)
    assert sessions.find_session(connection, token)
    assert sessions.end_session(connection, mika, own.id)
    assert sessions.find_session(connection, token) is None
    assert not sessions.end_session(connection, mika, own.id)


def test_a_new_key_ends_the_sessions_and_links_of_its_user_alone(
    connection: sql.Connection, mika: users.User
) -> None:
    other = users.add_user(connection, "noor", None, None)
    opened = [sessions.open_session(connection, user, "") for user in (mika, other)]
    made = [sign_in_links.make_link(connection, user) for user in (mika, other)]
    keys.rotate_key(connection, "secret", mika)
    assert [bool(sessions.find_session(connection, token)) for token in opened] == [False, True]
    assert [sign_in_links.find_link(connection, token) for token in made] == [None, other]


def test_a_link_can_be_looked_at_often_and_used_once(
    connection: sql.Connection, mika: users.User
) -> None:
    token = sign_in_links.make_link(connection, mika)
    assert [sign_in_links.find_link(connection, token) for _ in range(3)] == [mika] * 3
    used = [sign_in_links.consume_link(connection, token) for _ in range(2)]
    assert used == [mika, None]
    assert sign_in_links.find_link(connection, token) is None


def test_a_link_is_too_old_after_a_quarter_of_an_hour(
    connection: sql.Connection, mika: users.User
) -> None:
    token = sign_in_links.make_link(connection, mika)
    connection.execute("UPDATE web_links SET expires_at = expires_at - interval '15 minutes'")
    assert sign_in_links.find_link(connection, token) is None
    assert sign_in_links.consume_link(connection, token) is None
    sign_in_links.make_link(connection, mika)
    assert connection.execute("SELECT count(*) FROM web_links").fetchone() == (1,)
