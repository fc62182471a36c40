"""One title: its facts, names, links, chapters and history: SQL."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sql
from website.rules.cursors import Cursor
from website.rules.news import Chapter, reading_order

_MAX_TITLE = 300
_MAX_DESCRIPTION = 5_000
_MOST_NAMES = 60
_MOST_CHANGES = 50


@dataclass(frozen=True, slots=True)
class TitlePage:
    """What is known of a title.

    Attributes:
        names: others that it has, with their languages.
        links: its ids at other sites that still hold, by their short names.
        is_gone: the source does not have it any more.
        first_synced_at: when this server first saw it.
    """

    id: int
    title: str
    slug: str | None
    mangadex_id: UUID | None
    author: str | None
    status: str | None
    total_chapters: int | None
    description: str | None
    is_gone: bool
    first_synced_at: datetime | None
    genres: list[str]
    names: list[tuple[str, str]]
    links: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Following:
    """What a title is to a reader."""

    is_followed: bool
    is_muted: bool
    progress: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a title's facts."""

    field: str
    old: object
    new: object
    at: datetime


_BY_ID, _BY_MANGADEX_ID = "m.id = %(key)s", "m.mangadex_id = %(key)s"

_TITLE = f"""
SELECT m.id, left(m.title, {_MAX_TITLE}), m.slug, m.mangadex_id, left(m.author, {_MAX_TITLE}),
    m.status::text, m.total_chapters, left(m.description, {_MAX_DESCRIPTION}),
    m.unavailable_at IS NOT NULL, m.first_synced_at,
    ARRAY(SELECT g.name FROM manga_genres mg JOIN genres g ON g.id = mg.genre_id
          WHERE mg.manga_id = m.id ORDER BY g.name),
    ARRAY(SELECT ARRAY[coalesce(t.language, ''), left(t.title, {_MAX_TITLE})] FROM manga_titles t
          WHERE t.manga_id = m.id AND t.title <> m.title ORDER BY t.language, t.title
          LIMIT {_MOST_NAMES}),
    ARRAY(SELECT ARRAY[l.site, left(l.external_id, {_MAX_TITLE})] FROM manga_links l
          WHERE l.manga_id = m.id AND l.until IS NULL ORDER BY l.site)
FROM manga m WHERE {{condition}}"""


def find_title(connection: sql.Connection, key: int | UUID) -> TitlePage | None:
    """Return a title by its id here or at the source, None if there is none."""
    condition = _BY_ID if isinstance(key, int) else _BY_MANGADEX_ID
    row = connection.execute(_TITLE.format(condition=condition).encode(), {"key": key}).fetchone()
    if row is None:
        return None
    return TitlePage(*row)


def read_following(connection: sql.Connection, user_id: UUID, manga_id: int) -> Following:
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM user_library WHERE user_id = %(user)s AND manga_id = %(id)s),"
        " EXISTS (SELECT FROM library_settings WHERE user_id = %(user)s AND manga_id = %(id)s"
        "  AND muted),"
        " (SELECT max(current_chapter) FROM user_progress"
        "  WHERE user_id = %(user)s AND manga_id = %(id)s)",
        {"user": user_id, "id": manga_id},
    ).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    return Following(*row)


@dataclass(frozen=True, slots=True)
class Day:
    """The chapters of a title that came on one day, lowest first."""

    day: date
    chapters: tuple[Chapter, ...]


_CHAPTERS = """
SELECT c.id, CASE WHEN m.numbering_restarts THEN c.volume END,
    CASE WHEN c.number_scope NOT LIKE 'chapter:%%' THEN trim_scale(c.chapter_number) END,
    c.translated_language, c.published_at, c.mangadex_chapter_id, c.external_url,
    ARRAY(SELECT g.id::text FROM chapter_groups cg JOIN scanlation_groups g ON g.id = cg.group_id
          WHERE cg.chapter_id = c.id ORDER BY g.name, g.id),
    ARRAY(SELECT left(g.name, 100) FROM chapter_groups cg JOIN scanlation_groups g
          ON g.id = cg.group_id WHERE cg.chapter_id = c.id ORDER BY g.name, g.id)
FROM chapters c JOIN manga m ON m.id = c.manga_id
WHERE c.manga_id = %(id)s AND c.unavailable_at IS NULL AND c.chapter_number < 'NaN'
    AND c.published_at BETWEEN '1970-01-01' AND %(now)s
    AND (c.published_at, c.id) < (%(before_at)s, %(before_id)s)
ORDER BY c.published_at DESC, c.id DESC LIMIT %(limit)s"""


def list_days(
    connection: sql.Connection, manga_id: int, before: Cursor | None, now: datetime, limit: int
) -> tuple[list[Day], Cursor | None]:
    """Return the newest chapters before a place, by day, and where the list goes on.

    Args:
        limit: of chapters.
    """
    rows = connection.execute(
        _CHAPTERS.encode(),
        {
            "id": manga_id,
            "now": now,
            "before_at": before.at if before else sql.LATEST,
            "before_id": before.id if before else 0,
            "limit": limit + 1,
        },
    ).fetchall()
    shown = rows[:limit]
    days = [
        Day(day, tuple(sorted(map(_chapter, found), key=reading_order)))
        for day, found in itertools.groupby(shown, key=lambda row: row[4].date())
    ]
    return days, Cursor(shown[-1][4], shown[-1][0]) if len(rows) > limit else None


def _chapter(row: tuple[Any, ...]) -> Chapter:
    _, volume, number, language, published_at, mangadex_id, url, group_ids, names = row
    groups = tuple(zip(map(UUID, group_ids), names, strict=True))
    return Chapter(volume, number, language, published_at, mangadex_id, url, False, groups)


def list_changes(connection: sql.Connection, manga_id: int) -> list[Change]:
    """Return the newest changes of a title's facts, newest first."""
    rows = connection.execute(
        "SELECT field, old_value, new_value, changed_at FROM manga_changes WHERE manga_id = %s"
        " ORDER BY changed_at DESC, id DESC LIMIT %s",
        (manga_id, _MOST_CHANGES),
    ).fetchall()
    return [Change(*row) for row in rows]
