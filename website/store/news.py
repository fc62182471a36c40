"""New chapters as rows, one a title and day, newest first: SQL.

A row stands where its newest chapter does, so its cursor is that chapter's time and id. Days are in
UTC, as sessions are. Chapters that are gone from the source are left out.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID

import sql
from readers import unread
from website.rules.cursors import Cursor
from website.rules.news import Chapter, reading_order

_MAX_TITLE = 300
_MAX_CHAPTERS = 200  # of one title on one day
_LANGUAGES_OF = 2_000  # of the newest chapters


@dataclass(frozen=True, slots=True)
class Filter:
    """Which chapters are asked for.

    Attributes:
        user_id: whose unread notifications and library count; None for a visitor.
        is_mine: only titles of the user's library, in the languages that he reads.
        language: only this one; None for all.
        is_unread: only what the user was told of and has not read.
    """

    user_id: UUID | None = None
    is_mine: bool = False
    language: str | None = None
    is_unread: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """The chapters of one title that came on one day, lowest first."""

    manga_id: int
    title: str
    slug: str | None
    is_followed: bool
    day: date
    cursor: Cursor
    chapters: tuple[Chapter, ...]

    @property
    def is_unread(self) -> bool:
        return any(chapter.is_unread for chapter in self.chapters)


# What the user was told of and has not read, one line a chapter; NULL is one without a number.
_UNREAD = f"""
    SELECT n.manga_id, n.data -> 'data' ->> 'language' AS language, told.number
    FROM notifications n CROSS JOIN LATERAL jsonb_array_elements_text(
        CASE jsonb_typeof(n.data -> 'data' -> 'chapters')
        WHEN 'array' THEN n.data -> 'data' -> 'chapters'
        ELSE jsonb_build_array(n.data -> 'data' -> 'chapter') END) AS told (number)
    WHERE n.user_id = %(user)s AND n.id > {unread.read_up_to("%(user)s")}
      AND n.read IS NOT TRUE AND n.type = 'NEW_CHAPTER'"""

_NUMBER = "CASE WHEN {c}.number_scope NOT LIKE 'chapter:%%' THEN trim_scale({c}.chapter_number) END"

_IS_UNREAD = f"""EXISTS (SELECT FROM unread WHERE unread.manga_id = {{c}}.manga_id
    AND coalesce(unread.language, {{c}}.translated_language) = {{c}}.translated_language
    AND unread.number IS NOT DISTINCT FROM ({_NUMBER})::text)"""

_IS_MINE = """EXISTS (SELECT FROM user_library l
    LEFT JOIN library_settings s ON s.user_id = l.user_id AND s.manga_id = l.manga_id
    LEFT JOIN reader_preferences p ON p.user_id = l.user_id
    WHERE l.user_id = %(user)s AND l.manga_id = {c}.manga_id AND {c}.translated_language
        = ANY (coalesce(s.languages, p.languages, ARRAY[{c}.translated_language])))"""

# The newest chapter of each title and day. Of all titles: walk back in time as far as needed.
_HEADS_OF_ALL = """
heads AS (
    SELECT c.id, c.manga_id, c.published_at, date_trunc('day', c.published_at) AS day
    FROM chapters c
    WHERE (c.published_at, c.id) < (%(before_at)s, %(before_id)s) AND {wanted_c}
      AND NOT EXISTS (
        SELECT FROM chapters n
        WHERE n.manga_id = c.manga_id AND (n.published_at, n.id) > (c.published_at, c.id)
          AND n.published_at < date_trunc('day', c.published_at) + interval '1 day'
          AND {wanted_n})
    ORDER BY c.published_at DESC, c.id DESC LIMIT %(limit)s)"""

# Of a few titles, which may have had nothing for long: look at all their chapters.
_HEADS_OF_SOME = """
heads AS (
    SELECT newest.* FROM (SELECT DISTINCT {titles}) AS own
    CROSS JOIN LATERAL (
        SELECT DISTINCT ON (day) c.id, c.manga_id, c.published_at,
            date_trunc('day', c.published_at) AS day
        FROM chapters c
        WHERE c.manga_id = own.manga_id AND {wanted_c}
          AND (own.languages IS NULL OR c.translated_language = ANY (own.languages))
        ORDER BY day, c.published_at DESC, c.id DESC) AS newest
    WHERE (published_at, id) < (%(before_at)s, %(before_id)s)
    ORDER BY published_at DESC, id DESC LIMIT %(limit)s)"""
_OWN_TITLES = """l.manga_id, coalesce(s.languages, p.languages) AS languages
            FROM user_library l
            LEFT JOIN library_settings s ON s.user_id = l.user_id AND s.manga_id = l.manga_id
            LEFT JOIN reader_preferences p ON p.user_id = l.user_id
            WHERE l.user_id = %(user)s"""
_UNREAD_TITLES = "manga_id, NULL::text[] AS languages FROM unread"

# With each head all chapters of its row.
_ROWS = """
WITH unread AS MATERIALIZED ({unread}),{heads}
SELECT heads.id, heads.published_at, heads.day::date, m.id, left(m.title, {max_title}), m.slug,
    EXISTS (SELECT FROM user_library WHERE user_id = %(user)s AND manga_id = m.id),
    CASE WHEN m.numbering_restarts THEN part.volume END, part.number, part.translated_language,
    part.published_at, part.mangadex_chapter_id, part.external_url, part.is_unread,
    ARRAY(SELECT g.id::text FROM chapter_groups cg JOIN scanlation_groups g ON g.id = cg.group_id
          WHERE cg.chapter_id = part.id ORDER BY g.name, g.id),
    ARRAY(SELECT left(g.name, 100) FROM chapter_groups cg JOIN scanlation_groups g
          ON g.id = cg.group_id WHERE cg.chapter_id = part.id ORDER BY g.name, g.id)
FROM heads JOIN manga m ON m.id = heads.manga_id
CROSS JOIN LATERAL (
    SELECT n.*, {number} AS number, {is_unread} AS is_unread FROM chapters n
    WHERE n.manga_id = heads.manga_id AND n.published_at >= heads.day
      AND n.published_at < heads.day + interval '1 day' AND {wanted_n}
    ORDER BY n.chapter_number, n.id LIMIT {max_chapters}) AS part
ORDER BY heads.published_at DESC, heads.id DESC, part.id"""


def list_rows(
    connection: sql.Connection, wanted: Filter, before: Cursor | None, now: datetime, limit: int
) -> list[Row]:
    """Return the next rows.

    Args:
        before: the row after which these come; None for the newest.
    """
    values = {
        "user": wanted.user_id,
        "language": wanted.language,
        "now": now,
        "before_at": before.at if before else sql.LATEST,
        "before_id": before.id if before else 0,
        "limit": limit,
    }
    # Not prepared: a plan for any reader is bad for those with few titles, or with many.
    found = connection.execute(_query(wanted).encode(), values, prepare=False).fetchall()
    return [_row(list(lines)) for _, lines in itertools.groupby(found, key=lambda line: line[0])]


def list_languages(connection: sql.Connection, now: datetime) -> list[str]:
    """Return the languages of the newest chapters."""
    rows = connection.execute(
        "SELECT DISTINCT translated_language FROM (SELECT translated_language FROM chapters"
        " WHERE published_at <= %s ORDER BY published_at DESC LIMIT %s) AS newest ORDER BY 1",
        (now, _LANGUAGES_OF),
    )
    return [language for (language,) in rows]


def _query(wanted: Filter) -> str:
    return _ROWS.format(
        unread=_UNREAD,
        heads=_heads(wanted),
        wanted_n=_conditions(wanted, "n"),
        number=_NUMBER.format(c="n"),
        is_unread=_IS_UNREAD.format(c="n"),
        max_title=_MAX_TITLE,
        max_chapters=_MAX_CHAPTERS,
    )


def _heads(wanted: Filter) -> str:
    conditions = {"wanted_c": _conditions(wanted, "c"), "wanted_n": _conditions(wanted, "n")}
    if wanted.is_unread:
        return _HEADS_OF_SOME.format(titles=_UNREAD_TITLES, **conditions)
    if wanted.is_mine:
        conditions["wanted_c"] = _conditions(replace(wanted, is_mine=False), "c")
        return _HEADS_OF_SOME.format(titles=_OWN_TITLES, **conditions)
    return _HEADS_OF_ALL.format(**conditions)


def _conditions(wanted: Filter, alias: str) -> str:
    """Return which chapters of this alias are wanted; those of no possible time are not."""
    found = ["{c}.published_at BETWEEN '1970-01-01' AND %(now)s", "{c}.unavailable_at IS NULL"]
    if wanted.language is not None:
        found.append("{c}.translated_language = %(language)s")
    if wanted.is_mine:
        found.append(_IS_MINE)
    if wanted.is_unread:
        found.append(_IS_UNREAD)
    return " AND ".join(found).format(c=alias)


def _row(lines: Sequence[Sequence[Any]]) -> Row:
    head_id, came_at, day, manga_id, title, slug, is_followed, *_ = lines[0]
    chapters = tuple(sorted((_chapter(line[7:]) for line in lines), key=reading_order))
    return Row(manga_id, title, slug, is_followed, day, Cursor(came_at, head_id), chapters)


def _chapter(line: Sequence[Any]) -> Chapter:
    volume, number, language, published_at, mangadex_id, external_url, is_unread, ids, names = line
    groups = tuple(zip(map(UUID, ids), names, strict=True))
    return Chapter(
        volume, number, language, published_at, mangadex_id, external_url, is_unread, groups
    )
