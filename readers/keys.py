"""The keys of users: derived from the server's secret, never stored; SQL for their generations.

A higher generation in `notify_keys` rotates a key.
"""

from __future__ import annotations

import hashlib
import hmac

import sql
from readers.users import User

CHANNEL = "mangahub_notifications"  # tells notification servers of new rows, and of rotated keys


def derive_key(secret: str, user_id: str, generation: int) -> str:
    """Return the user's key, 64 hexadecimal digits; `user_id` is the UUID in canonical form."""
    text = f"key|{user_id}|{generation}"
    return hmac.digest(secret.encode(), text.encode(), hashlib.sha256).hex()


def user_key(connection: sql.Connection, secret: str, user: User) -> str:
    row = connection.execute(
        "SELECT generation FROM notify_keys WHERE user_id = %s", (user.id,)
    ).fetchone()
    return derive_key(secret, str(user.id), row[0] if row else 0)


def all_keys(connection: sql.Connection, secret: str) -> dict[str, str]:
    """Return every user's key by user id."""
    rows = connection.execute(
        "SELECT users.id, coalesce(generation, 0) FROM users "
        "LEFT JOIN notify_keys ON notify_keys.user_id = users.id ORDER BY username, users.id"
    )
    return {str(id): derive_key(secret, str(id), generation) for id, generation in rows}


def rotate_key(connection: sql.Connection, secret: str, user: User) -> str:
    """Make the old key worthless; the servers drop the user's clients, and his sessions end."""
    row = connection.execute(
        "WITH sessions AS (DELETE FROM web_sessions WHERE user_id = %(user)s), "
        "links AS (DELETE FROM web_links WHERE user_id = %(user)s), "
        "rotated AS (INSERT INTO notify_keys AS k (user_id, generation, rotated_at) "
        "  VALUES (%(user)s, 1, now()) ON CONFLICT (user_id) DO UPDATE "
        "  SET generation = k.generation + 1, rotated_at = now() RETURNING user_id, generation) "
        "SELECT generation, pg_notify(%(channel)s, json_build_object("
        "  'rotated', user_id, 'generation', generation)::text)::text FROM rotated",
        {"user": user.id, "channel": CHANNEL},
    ).fetchone()
    assert row is not None  # an upsert without WHERE returns its row
    return derive_key(secret, str(user.id), row[0])
