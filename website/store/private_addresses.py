"""Whose private addresses are valid: SQL."""

from __future__ import annotations

from uuid import UUID

import sql
from readers.users import User
from website.security.private import KINDS, Kind, is_genuine, make_private, whose


def list_addresses(connection: sql.Connection, secret: str, user: User) -> dict[Kind, str]:
    """Return the secret parts of a reader's addresses, by kind."""
    rows = connection.execute(
        "SELECT kind, generation FROM private_addresses WHERE user_id = %s", (user.id,)
    ).fetchall()
    generations: dict[str, int] = dict(rows)
    return {kind: make_private(secret, kind, user.id, generations.get(kind, 0)) for kind in KINDS}


def renew_address(connection: sql.Connection, user: User, kind: Kind) -> None:
    """Make the reader's address of this kind worthless; a new one takes its place."""
    connection.execute(
        "INSERT INTO private_addresses AS a (user_id, kind, generation) VALUES (%s, %s, 1)"
        " ON CONFLICT (user_id, kind) DO UPDATE SET generation = a.generation + 1,"
        " renewed_at = now()",
        (user.id, kind),
    )


def find_reader(connection: sql.Connection, secret: str, kind: Kind, text: str) -> User | None:
    """Return the reader whose address it is, None if it is wrong or was renewed.

    Whether such a user exists is looked up in any case, so that both take the same time.
    """
    claimed = whose(text) or UUID(int=0)
    row = connection.execute(
        "SELECT u.id, u.username, coalesce(a.generation, 0) FROM users u"
        " LEFT JOIN private_addresses a ON a.user_id = u.id AND a.kind = %s WHERE u.id = %s",
        (kind, claimed),
    ).fetchone()
    user_id, username, generation = row or (claimed, "", 0)
    is_right = is_genuine(text, secret, kind, user_id, generation)
    return User(user_id, username) if is_right and row else None
