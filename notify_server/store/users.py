"""Users, libraries and keys for a database without MangaHub's own programs: SQL."""

from __future__ import annotations

import re
import uuid
from typing import NamedTuple
from uuid import UUID

import psycopg

import sql
from notify_server.errors import NotFound
from notify_server.store.notifications import CHANNEL
from notify_server.wire import auth

_MAX_CANDIDATES = 10
# No hash has this form, so nobody can log in with a password until one is set.
_NO_PASSWORD = "!"


class User(NamedTuple):
    """A row of `users`."""

    id: UUID
    username: str


class TitleRow(NamedTuple):
    """A row of `manga`."""

    id: int
    title: str


# --- users -----------------------------------------------------------------------------------


def add_user(
    connection: sql.Connection, username: str, email: str | None, user_id: UUID | None
) -> User:
    """Create a user without password.

    Raises:
        NotFound: the name, email or id is taken already.
    """
    user = User(user_id or uuid.uuid4(), username)
    address = email or f"{username}@localhost"
    try:
        # An adopted database that has a name twice has no key that would refuse a third.
        added = connection.execute(
            "INSERT INTO users (id, username, email, password_hash) SELECT %s, %s, %s, %s "
            "WHERE NOT EXISTS (SELECT FROM users WHERE username = %s OR email = %s)",
            (user.id, username, address, _NO_PASSWORD, username, address),
        ).rowcount
    except psycopg.errors.UniqueViolation as exc:
        detail = exc.diag.message_detail or "the user exists already"
        raise NotFound(f"cannot add {username!r}: {detail}") from exc
    if not added:
        raise NotFound(f"cannot add {username!r}: a user of that name or email exists already")
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


# --- keys ------------------------------------------------------------------------------------


def user_key(connection: sql.Connection, secret: str, user: User) -> str:
    row = connection.execute(
        "SELECT generation FROM notify_keys WHERE user_id = %s", (user.id,)
    ).fetchone()
    return auth.derive_key(secret, str(user.id), row[0] if row else 0)


def all_keys(connection: sql.Connection, secret: str) -> dict[str, str]:
    """Return every user's key by user id."""
    rows = connection.execute(
        "SELECT users.id, coalesce(generation, 0) FROM users "
        "LEFT JOIN notify_keys ON notify_keys.user_id = users.id ORDER BY username, users.id"
    )
    return {str(id): auth.derive_key(secret, str(id), generation) for id, generation in rows}


def rotate_key(connection: sql.Connection, secret: str, user: User) -> str:
    """Make the old key worthless; the servers drop the user's clients."""
    row = connection.execute(
        "WITH rotated AS (INSERT INTO notify_keys AS k (user_id, generation, rotated_at) "
        "  VALUES (%s, 1, now()) ON CONFLICT (user_id) DO UPDATE "
        "  SET generation = k.generation + 1, rotated_at = now() RETURNING user_id, generation) "
        "SELECT generation, pg_notify(%s, json_build_object("
        "  'rotated', user_id, 'generation', generation)::text)::text FROM rotated",
        (user.id, CHANNEL),
    ).fetchone()
    assert row is not None  # an upsert without WHERE returns its row
    return auth.derive_key(secret, str(user.id), row[0])


# --- libraries -------------------------------------------------------------------------------


def find_title(connection: sql.Connection, text: str) -> TitleRow:
    """Find a title by id, MangaDex id, exact title, or a part of exactly one title.

    A number may be one manga's id and another's title; `id:NUMBER` is always an id.

    Raises:
        NotFound: there is none, or several, which are listed then.
    """
    searches = (
        ("id = %(value)s", _as_number(text.removeprefix("id:")) if text[:3] == "id:" else None),
        ("id = %(value)s OR title = %(text)s", _as_number(text)),
        ("mangadex_id = %(value)s", _as_uuid(text)),
        ("title = %(text)s", text),
        ("lower(title) = lower(%(text)s)", text),
        ("position(lower(%(text)s) IN lower(title)) > 0", text),
    )
    for condition, value in searches:
        found = _titles(connection, condition, value, text)
        if len(found) == 1:
            return found[0]
        if found:
            raise NotFound(_ambiguous(text, found))
    raise NotFound(f"there is no manga {text!r}")


def _titles(connection: sql.Connection, condition: str, value: object, text: str) -> list[TitleRow]:
    if value is None or value == "":
        return []
    query = f"SELECT id, title FROM manga WHERE {condition} ORDER BY length(title), id LIMIT %(n)s"
    parameters = {"value": value, "text": text, "n": _MAX_CANDIDATES + 1}
    return [TitleRow(*row) for row in connection.execute(query.encode(), parameters).fetchall()]


def _ambiguous(text: str, found: list[TitleRow]) -> str:
    shown = [f"id:{t.id} {t.title!r}" for t in found[:_MAX_CANDIDATES]]
    more = ", and more" if len(found) > _MAX_CANDIDATES else ""
    return f"{text!r} is ambiguous, give one by its id: {', '.join(shown)}{more}"


def _as_number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _as_uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def add_to_library(connection: sql.Connection, user: User, titles: list[TitleRow]) -> None:
    """Add all titles or none; those that are there already stay, also without a unique key."""
    connection.execute(
        "INSERT INTO user_library (user_id, manga_id) "
        "SELECT DISTINCT %(user)s::uuid, wanted.id "
        "FROM unnest(%(titles)s::bigint[]) AS wanted (id) "
        "WHERE NOT EXISTS (SELECT FROM user_library "
        "                  WHERE user_id = %(user)s AND manga_id = wanted.id) "
        "ON CONFLICT DO NOTHING",
        {"user": user.id, "titles": [t.id for t in titles]},
    )


def remove_from_library(connection: sql.Connection, user: User, titles: list[TitleRow]) -> None:
    connection.execute(
        "DELETE FROM user_library WHERE user_id = %s AND manga_id = ANY(%s::bigint[])",
        (user.id, [t.id for t in titles]),
    )


def list_library(connection: sql.Connection, user: User) -> list[TitleRow]:
    rows = connection.execute(
        "SELECT id, title FROM manga "
        "WHERE id IN (SELECT manga_id FROM user_library WHERE user_id = %s) ORDER BY title, id",
        (user.id,),
    ).fetchall()
    return [TitleRow(*row) for row in rows]
