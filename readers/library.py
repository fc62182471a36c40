"""Users' libraries, and titles by name: SQL."""

from __future__ import annotations

import re
from typing import NamedTuple
from uuid import UUID

import sql
from readers.errors import NotFound
from readers.users import User

_MAX_CANDIDATES = 10


class TitleRow(NamedTuple):
    """A row of `manga`."""

    id: int
    title: str


def find_title(connection: sql.Connection, text: str) -> TitleRow:
    """Find a title by id, MangaDex id, exact title, or a part of exactly one title.

    A number may be one manga's id and another's title; `id:NUMBER` is always an id.

    Raises:
        NotFound: there is none, or several, which the text lists.
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


def list_gone(connection: sql.Connection, user: User) -> set[int]:
    """Return the ids of a reader's titles that the source has no more."""
    rows = connection.execute(
        "SELECT id FROM manga WHERE unavailable_at IS NOT NULL"
        " AND id IN (SELECT manga_id FROM user_library WHERE user_id = %s)",
        (user.id,),
    ).fetchall()
    return {id for (id,) in rows}
