"""The catalogue: titles by name, genre and status: SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import sql
from website.rules.searching import Query, make_query, nearest

SORTS = ("best", "followed", "added", "title")
STATUSES = ("ongoing", "completed", "hiatus", "cancelled")
MAX_TITLE = 300
_MOST_CANDIDATES = 200


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which titles are asked for.

    Attributes:
        query: None for all.
        typed: what `query` was made of, for titles that begin so.
        sort: one of SORTS; `best`, which comes first for the query, needs one.
        after: the place of the row before, as `CatalogueRow.place`; None for the first.
    """

    query: Query | None = None
    typed: str = ""
    genre: str | None = None
    status: str | None = None
    sort: str = "added"
    after: tuple[object, int] | None = None


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """A title in a list.

    Attributes:
        chapter, came_at: of its newest chapter here.
        key: what the list is ordered by, before the id.
    """

    id: int
    title: str
    slug: str | None
    status: str | None
    total_chapters: int | None
    is_followed: bool
    chapter: Decimal | None
    language: str | None
    came_at: datetime | None
    key: object

    @property
    def place(self) -> tuple[object, int]:
        """Where it stands in the order of the list."""
        return self.key, self.id


# By sort: what the rows are ordered by, its direction, and which titles have it.
_ORDERS = {
    "best": (
        "(CASE WHEN lower(m.title) = %(typed)s THEN 2000000000"
        " WHEN starts_with(lower(m.title), %(typed)s) THEN 1000000000 ELSE 0 END"
        " + coalesce(p.follows, 0))",
        "DESC",
        "TRUE",
    ),
    "followed": ("p.follows", "DESC", "p.follows IS NOT NULL"),
    "added": ("m.id", "DESC", "TRUE"),
    "title": ("left(m.title, 200)", "ASC", "TRUE"),
}

_LIST = """
WITH found AS (
    SELECT m.id, {key} AS key FROM manga m {joins}
    WHERE {conditions}
    ORDER BY {key} {direction}, m.id {direction} LIMIT %(limit)s)
SELECT m.id, left(m.title, {max_title}), m.slug, m.status::text, m.total_chapters,
    EXISTS (SELECT FROM user_library l WHERE l.user_id = %(user)s AND l.manga_id = m.id),
    newest.number, newest.translated_language, newest.published_at, found.key
FROM found JOIN manga m ON m.id = found.id
LEFT JOIN LATERAL (
    SELECT CASE WHEN number_scope NOT LIKE 'chapter:%%' THEN trim_scale(chapter_number) END
        AS number, translated_language, published_at
    FROM chapters c WHERE c.manga_id = m.id AND c.unavailable_at IS NULL
        AND c.published_at BETWEEN '1970-01-01' AND %(now)s AND c.chapter_number < 'NaN'
    ORDER BY published_at DESC, id DESC LIMIT 1) AS newest ON TRUE
ORDER BY found.key {direction}, m.id {direction}"""

_HAS_GENRE = (
    "EXISTS (SELECT FROM manga_genres mg JOIN genres g ON g.id = mg.genre_id"
    " WHERE mg.manga_id = m.id AND lower(g.name) = lower(%(genre)s))"
)


def list_titles(
    connection: sql.Connection, wanted: Wanted, user_id: UUID | None, now: datetime, limit: int
) -> list[CatalogueRow]:
    """Return the next titles of a list; those that are gone from the source are left out."""
    after, after_id = wanted.after or (None, None)
    values = {
        "typed": wanted.typed,
        "query": wanted.query.tsquery if wanted.query else None,
        "genre": wanted.genre,
        "status": wanted.status,
        "after": after,
        "after_id": after_id,
        "user": user_id,
        "now": now,
        "limit": limit,
    }
    rows = connection.execute(_statement(wanted).encode(), values).fetchall()
    return [CatalogueRow(*row) for row in rows]


def _statement(wanted: Wanted) -> str:
    key, direction, _ = _ORDERS[wanted.sort]
    joins = "LEFT JOIN title_popularity p ON p.manga_id = m.id" if "p." in key else ""
    if wanted.query:
        joins += " JOIN title_search s ON s.manga_id = m.id"
    return _LIST.format(
        key=key,
        joins=joins,
        conditions=" AND ".join(_conditions(wanted)),
        direction=direction,
        max_title=MAX_TITLE,
    )


def _conditions(wanted: Wanted) -> Iterator[str]:
    key, direction, condition = _ORDERS[wanted.sort]
    yield condition
    yield "m.unavailable_at IS NULL"
    if wanted.query:
        yield "s.words @@ %(query)s::tsquery"
    if wanted.genre:
        yield _HAS_GENRE
    if wanted.status:
        yield "m.status::text = %(status)s"
    if wanted.after:
        yield f"({key}, m.id) {'<' if direction == 'DESC' else '>'} (%(after)s, %(after_id)s)"


def read_query(connection: sql.Connection, text: str) -> Query | None:
    """Return the query for what somebody has typed; None where there is nothing to search for."""
    row = connection.execute("SELECT mangahub_search_text(%s)", (text,)).fetchone()
    return make_query(row[0]) if row and row[0] else None


def correct(connection: sql.Connection, query: Query) -> Mapping[str, Sequence[str]]:
    """Return the words that no name has, and for each the nearest that there are."""
    rows = connection.execute(
        "SELECT typed.word, near.word FROM unnest(%s::text[]) AS typed (word)"
        " LEFT JOIN LATERAL (SELECT w.word FROM title_words w"
        "  WHERE mangahub_word_variants(w.word) && mangahub_word_variants(typed.word)"
        f"  LIMIT {_MOST_CANDIDATES}) AS near ON TRUE"
        ' WHERE NOT EXISTS (SELECT FROM title_words w WHERE w.word >= typed.word COLLATE "C"'
        "  AND w.word < typed.word || U&'\\+10FFFF' COLLATE \"C\")",
        (list(query.words),),
    ).fetchall()
    candidates: dict[str, list[str]] = {}
    for word, near in rows:
        candidates.setdefault(word, []).extend([near] if near else [])
    return {word: nearest(word, found) for word, found in candidates.items()}


@dataclass(frozen=True, slots=True)
class Counts:
    """How many titles there are, in all and of each kind."""

    titles: int
    genres: list[tuple[str, int]]
    statuses: dict[str, int]


def count_titles(connection: sql.Connection) -> Counts:
    """Count the titles; this reads whole tables."""
    statuses = connection.execute(
        "SELECT status::text, count(*) FROM manga WHERE unavailable_at IS NULL GROUP BY status"
    ).fetchall()
    genres = connection.execute(
        "SELECT g.name, count(*) FROM manga_genres mg JOIN genres g ON g.id = mg.genre_id"
        " GROUP BY g.name ORDER BY g.name"
    ).fetchall()
    return Counts(
        sum(count for _, count in statuses),
        genres,
        {status: count for status, count in statuses if status in STATUSES},
    )
