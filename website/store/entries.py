"""News as entries of feeds: SQL."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import sql
from readers.foreign_rows import DATA, read_data
from readers.users import User
from website.feeds.entries import MOST_ENTRIES, Entry, urn
from website.rules.numbers import describe_number
from website.rules.sites import chapter_place

_MAX_TITLE = 300

_CHAPTERS = f"""
SELECT c.id, c.mangadex_chapter_id, m.id, left(m.title, {_MAX_TITLE}),
    CASE WHEN m.numbering_restarts THEN c.volume END,
    CASE WHEN c.number_scope NOT LIKE 'chapter:%%' THEN trim_scale(c.chapter_number) END,
    c.translated_language, left(c.title, {_MAX_TITLE}), c.external_url, c.published_at,
    ARRAY(SELECT left(g.name, 100) FROM chapter_groups cg JOIN scanlation_groups g
          ON g.id = cg.group_id WHERE cg.chapter_id = c.id ORDER BY g.name, g.id),
    CASE WHEN c.created_at BETWEEN '1970-01-01' AND %(now)s THEN c.created_at END
FROM chapters c JOIN manga m ON m.id = c.manga_id
WHERE c.unavailable_at IS NULL AND c.chapter_number < 'NaN'
    AND c.published_at BETWEEN '1970-01-01' AND %(now)s {{condition}}
ORDER BY c.published_at DESC, c.id DESC LIMIT {MOST_ENTRIES}"""


def list_chapters(
    connection: sql.Connection, site_url: str, now: datetime, manga_id: int | None = None
) -> list[Entry]:
    """Return the newest chapters, of one title or of all.

    Args:
        site_url: of this site, for chapters that are read nowhere.
    """
    condition = "AND c.manga_id = %(manga_id)s" if manga_id is not None else ""
    query = _CHAPTERS.format(condition=condition)
    rows = connection.execute(query.encode(), {"now": now, "manga_id": manga_id}).fetchall()
    return [_chapter(row, site_url) for row in rows]


def _chapter(row: tuple[Any, ...], site_url: str) -> Entry:
    row_id, upload, manga_id, title, volume, number, language, name, url, at, groups, stored = row
    place = chapter_place(url, upload)
    shown = _numbered(volume, number)
    by = f" by {', '.join(groups)}" if groups else ""
    return Entry(
        id=urn("chapter", upload or row_id),
        title=f"{title}: {shown}" + (f" – {name}" if name else ""),
        url=place.url if place else f"{site_url}/titles/{manga_id}",
        text=f"{shown} ({language}){by}",
        at=at,
        authors=tuple(groups),
        language=language,
        stored_at=stored,
    )


def _numbered(volume: str | None, number: Decimal | None) -> str:
    chapter = "a chapter without a number" if number is None else f"ch. {describe_number(number)}"
    return f"vol. {volume} {chapter}" if volume else chapter


_NOTIFICATIONS = (
    f"SELECT id, event_id, type, manga_id, left(title, {_MAX_TITLE}), left(message, 1000), {DATA},"
    " created_at FROM notifications WHERE user_id = %s AND created_at BETWEEN '1970-01-01' AND %s"
    f" ORDER BY id DESC LIMIT {MOST_ENTRIES}"
).encode()


def list_notifications(
    connection: sql.Connection, site_url: str, user: User, now: datetime
) -> list[Entry]:
    """Return a reader's newest notifications, read or not."""
    rows = connection.execute(_NOTIFICATIONS, (user.id, now)).fetchall()
    return [_notification(row, site_url, user.id) for row in rows]


def _notification(row: tuple[Any, ...], site_url: str, user_id: UUID) -> Entry:
    row_id, event_id, kind, manga_id, title, message, stored, at = row
    data, _ = read_data(stored)
    groups, language = data.get("groups"), data.get("language")
    names = tuple(map(str, groups)) if isinstance(groups, list) else ()
    own = f"{site_url}/titles/{manga_id}" if manga_id else site_url
    url = data.get("url")
    place = chapter_place(url if isinstance(url, str) else None, None)
    return Entry(
        id=urn("notification", user_id, event_id or row_id),
        title=f"{title}: {message}" if title and title not in message else message,
        url=place.url if place else own,
        text=message + (f" by {', '.join(names)}" if names else ""),
        at=at,
        authors=names,
        language=language if isinstance(language, str) else None,
        tags=(kind.lower().replace("_", "-"),) if kind else (),
    )
