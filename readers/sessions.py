"""Who is signed in to the website: SQL.

A session ends after 30 days without a visit, 180 days after sign-in, on sign-out, from the page of
devices, and when its user's key is rotated.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import psycopg

import sql
from readers.tokens import new_token, token_hash
from readers.users import User

LONGEST_DAYS = 180
_IS_OPEN = (
    "last_seen_at > now() - interval '30 days'"
    f" AND web_sessions.created_at > now() - interval '{LONGEST_DAYS} days'"
)


@dataclass(frozen=True, slots=True)
class Session:
    """A browser in which a user is signed in.

    Attributes:
        id: names the session to its user; opens nothing.
    """

    id: int
    user: User
    is_operator: bool


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session as its user sees it; `last_seen_at` is true to the hour."""

    id: int
    browser: str
    created_at: datetime
    last_seen_at: datetime


def open_session(connection: sql.Connection, user: User, browser: str) -> str:
    """Sign a user in and return the token for the browser's cookie.

    Args:
        browser: what it calls itself, in words that its user knows.
    """
    token = new_token()
    connection.execute(f"DELETE FROM web_sessions WHERE NOT ({_IS_OPEN})".encode())
    connection.execute(
        "WITH seen AS (UPDATE users SET last_login = now() WHERE id = %(user)s)"
        " INSERT INTO web_sessions (token_hash, user_id, browser)"
        " VALUES (%(hash)s, %(user)s, %(browser)s)",
        {"hash": token_hash(token), "user": user.id, "browser": browser},
    )
    return token


def find_session(connection: sql.Connection, token: str) -> Session | None:
    """Return the open session that a token belongs to, and note once an hour that it is used."""
    row = connection.execute(
        "SELECT web_sessions.id, users.id, username, (role = 'admin') IS TRUE,"
        " last_seen_at < now() - interval '1 hour'"
        " FROM web_sessions JOIN users ON users.id = user_id"
        f" WHERE token_hash = %s AND {_IS_OPEN}".encode(),
        (token_hash(token),),
    ).fetchone()
    if row is None:
        return None
    session_id, user_id, username, is_operator, is_stale = row
    if is_stale:
        # A database that only reads, as a standby does, goes on showing pages.
        with suppress(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute(
                "UPDATE web_sessions SET last_seen_at = now() WHERE id = %s", (session_id,)
            )
    return Session(session_id, User(user_id, username), is_operator)


def list_sessions(connection: sql.Connection, user: User) -> list[OpenSession]:
    rows = connection.execute(
        "SELECT id, browser, created_at, last_seen_at FROM web_sessions"
        f" WHERE user_id = %s AND {_IS_OPEN} ORDER BY last_seen_at DESC, id DESC".encode(),
        (user.id,),
    )
    return [OpenSession(*row) for row in rows]


def end_session(connection: sql.Connection, user: User, session_id: int) -> bool:
    """Sign one browser of a user out; return whether it was signed in."""
    return bool(
        connection.execute(
            "DELETE FROM web_sessions WHERE id = %s AND user_id = %s", (session_id, user.id)
        ).rowcount
    )
