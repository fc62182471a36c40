"""One-time links that sign a reader in to the website: SQL.

To look at a link does not use it up, as programs that preview links open them.
"""

from __future__ import annotations

import sql
from readers.tokens import new_token, token_hash
from readers.users import User

VALID_MINUTES = 15


def make_link(connection: sql.Connection, user: User) -> str:
    """Return the token of a new link, good for one sign-in within 15 minutes."""
    token = new_token()
    connection.execute("DELETE FROM web_links WHERE expires_at < now()")
    connection.execute(
        "INSERT INTO web_links (token_hash, user_id, expires_at)"
        " VALUES (%s, %s, now() + make_interval(mins => %s))",
        (token_hash(token), user.id, VALID_MINUTES),
    )
    return token


def find_link(connection: sql.Connection, token: str) -> User | None:
    """Return whom a link would sign in, None if it is unknown, used or too old."""
    row = connection.execute(
        "SELECT users.id, username FROM web_links JOIN users ON users.id = user_id"
        " WHERE token_hash = %s AND expires_at > now()",
        (token_hash(token),),
    ).fetchone()
    return User(*row) if row else None


def consume_link(connection: sql.Connection, token: str) -> User | None:
    """Use a link up; return whom it signs in, None if it is unknown, used or too old."""
    row = connection.execute(
        "DELETE FROM web_links USING users WHERE users.id = user_id"
        " AND token_hash = %s AND expires_at > now() RETURNING users.id, username",
        (token_hash(token),),
    ).fetchone()
    return User(*row) if row else None
