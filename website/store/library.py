"""The titles that a reader follows, with how far they and the reader are: SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

import sql

_MOST = 5_000
_MAX_TITLE = 300


@dataclass(frozen=True, slots=True)
class Followed:
    """A title of a library.

    Attributes:
        newest: the highest number of a chapter in a language that the reader reads; None where none
            is stored.
        came_at: when the newest chapter came.
        progress: the chapter up to which the reader has read, None where that is not known.
        behind: how many stored chapters are above it.
        is_gone: whether the source has it no more.
    """

    id: int
    title: str
    slug: str | None
    status: str | None
    is_gone: bool
    is_muted: bool
    newest: Decimal | None
    came_at: datetime | None
    progress: int | None
    behind: int


_FOLLOWED = """
SELECT m.id, left(m.title, %(max_title)s), m.slug, m.status, m.unavailable_at IS NOT NULL,
    coalesce(s.muted, false), c.newest, c.came_at, p.current_chapter, coalesce(c.behind, 0)
FROM (SELECT DISTINCT manga_id FROM user_library WHERE user_id = %(user)s LIMIT %(most)s) AS l
JOIN manga m ON m.id = l.manga_id
LEFT JOIN library_settings s ON s.user_id = %(user)s AND s.manga_id = m.id
LEFT JOIN reader_preferences r ON r.user_id = %(user)s
LEFT JOIN user_progress p ON p.user_id = %(user)s AND p.manga_id = m.id
LEFT JOIN LATERAL (
    SELECT max(c.chapter_number) FILTER (WHERE c.number_scope NOT LIKE 'chapter:%%') AS newest,
        max(c.published_at) FILTER (WHERE c.published_at < 'infinity') AS came_at,
        count(DISTINCT c.chapter_number) FILTER (WHERE c.chapter_number > p.current_chapter)
            AS behind
    FROM chapters c
    WHERE c.manga_id = m.id AND c.unavailable_at IS NULL AND c.translated_language
        = ANY (coalesce(s.languages, r.languages, ARRAY[c.translated_language]))) AS c ON true
ORDER BY c.came_at DESC NULLS LAST, lower(m.title), m.id"""


def list_followed(connection: sql.Connection, user_id: UUID) -> list[Followed]:
    """Return all titles of a library, the one with the latest chapter first; at most 5,000."""
    values = {"user": user_id, "most": _MOST, "max_title": _MAX_TITLE}
    return [Followed(*row) for row in connection.execute(_FOLLOWED.encode(), values)]


def list_popular(connection: sql.Connection, limit: int) -> list[tuple[int, str, str | None]]:
    """Return id, name and slug of the titles that most readers here follow."""
    return connection.execute(
        "SELECT m.id, left(m.title, %s), m.slug FROM manga m"
        " LEFT JOIN (SELECT manga_id, count(*) AS readers FROM user_library GROUP BY manga_id) l"
        " ON l.manga_id = m.id WHERE m.unavailable_at IS NULL"
        " ORDER BY l.readers DESC NULLS LAST, m.id LIMIT %s",
        [_MAX_TITLE, limit],
    ).fetchall()
