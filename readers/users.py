"""Users, for a database without MangaHub's own programs: SQL."""

from __future__ import annotations

import uuid
from typing import NamedTuple
from uuid import UUID

import psycopg

import sql
from readers.errors import NotFound, Taken

# No hash has this form, so no login with a password is possible until one is set.
_NO_PASSWORD = "!"


class User(NamedTuple):
    """A row of `users`."""

    id: UUID
    username: str


def add_user(
    connection: sql.Connection,
    username: str,
    email: str | None,
    user_id: UUID | None,
    role: str = "user",
) -> User:
    """Create a user without password.

    Args:
        role: `admin` is an operator, who sees on the website how the programs are.

    Raises:
        Taken: the name, email or id is in use.
    """
    user = User(user_id or uuid.uuid4(), username)
    address = email or f"{username}@localhost"
    try:
        # An adopted database that has a name twice has no key that would reject a third.
        added = connection.execute(
            "INSERT INTO users (id, username, email, password_hash, role) "
            "SELECT %s, %s, %s, %s, %s "
            "WHERE NOT EXISTS (SELECT FROM users WHERE username = %s OR email = %s)",
            (user.id, username, address, _NO_PASSWORD, role, username, address),
        ).rowcount
    except psycopg.errors.UniqueViolation as exc:
        detail = exc.diag.message_detail or "the user exists already"
        raise Taken(f"cannot add {username!r}: {detail}") from exc
    if not added:
        raise Taken(f"cannot add {username!r}: a user of that name or email exists already")
    return user


def list_users(connection: sql.Connection) -> list[User]:
    rows = connection.execute("SELECT id, username FROM users ORDER BY username, id").fetchall()
    return [User(*row) for row in rows]


def find_user(connection: sql.Connection, name: str) -> User:
    """Find a user by id or username.

    Raises:
        NotFound: there is none.
    """
    rows = connection.execute(
        "SELECT id, username FROM users WHERE id::text = lower(%(name)s) "
        "OR username = %(name)s ORDER BY username = %(name)s",
        {"name": name},
    ).fetchall()
    if not rows:
        raise NotFound(f"there is no user {name!r}: `user list` shows them")
    return User(*rows[0])
