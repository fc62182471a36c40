"""What a row of the page of suggestions shows of a title: SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sql

_MAX_TITLE = 300
_MAX_GENRES = 6


@dataclass(frozen=True, slots=True)
class Described:
    """A title as a row names it."""

    title: str
    slug: str | None
    status: str | None
    author: str | None
    genres: list[str]


def describe(connection: sql.Connection, ids: Sequence[int]) -> dict[int, Described]:
    """Return what is known of titles, by id."""
    rows = connection.execute(
        "SELECT id, left(title, %s), slug, status, left(author, %s),"
        " ARRAY(SELECT name FROM manga_genres g JOIN genres ON genres.id = genre_id"
        "  WHERE g.manga_id = manga.id ORDER BY name LIMIT %s)"
        " FROM manga WHERE id = ANY(%s)",
        [_MAX_TITLE, _MAX_TITLE, _MAX_GENRES, list(ids)],
    ).fetchall()
    return {id: Described(*rest) for id, *rest in rows}
