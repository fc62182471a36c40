"""Release days, and what is expected of titles: SQL, and the rule over its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import sql
from website.rules.prediction import Prediction, predict

MOST_TITLES = 100  # in the calendar of all titles
_MAX_TITLE = 300
_RECENT = timedelta(days=120)  # longer silent titles are on hiatus, or nearly


@dataclass(frozen=True, slots=True)
class Expected:
    """A title and when its next chapter may come.

    Attributes:
        language: in which the chapters came that the prediction rests on.
        days: on which they came, ascending.
    """

    manga_id: int
    title: str
    slug: str | None
    language: str
    days: tuple[date, ...]
    next: Prediction


# Of each title the language in which most came lately, out of those that the reader reads; and its
# last 13 days.
_DAYS = """
SELECT m.id, left(m.title, {max_title}), m.slug, m.status::text, best.translated_language, best.days
FROM ({titles}) AS wanted (id) JOIN manga m ON m.id = wanted.id
LEFT JOIN LATERAL (
    SELECT translated_language, days FROM (
        SELECT r.translated_language, (array_agg(r.released_on ORDER BY r.released_on DESC))[:13]
            AS days
        FROM release_days r
        WHERE r.manga_id = m.id AND {is_read}
            AND r.released_on BETWEEN '1970-01-01' AND %(today)s
        GROUP BY r.translated_language) AS by_language
    ORDER BY cardinality(days) DESC, days[1] DESC, translated_language LIMIT 1) AS best ON TRUE
WHERE m.unavailable_at IS NULL"""

_IS_READ = """(%(user)s::uuid IS NULL OR r.translated_language = ANY (coalesce(
    (SELECT s.languages FROM library_settings s WHERE s.user_id = %(user)s AND s.manga_id = m.id),
    (SELECT p.languages FROM reader_preferences p WHERE p.user_id = %(user)s),
    ARRAY[r.translated_language])))"""

_OF_READER = "SELECT manga_id FROM user_library WHERE user_id = %(user)s"
_UNMUTED = f"""{_OF_READER} EXCEPT
    SELECT manga_id FROM library_settings WHERE user_id = %(user)s AND muted"""
_ONE = "SELECT %(manga_id)s::bigint"
# The most followed ones of those that had a release lately, then those of which no follows are
# known. Each half stops at the most that are shown: a catalogue has releases by the million.
_HAD_RELEASE = """EXISTS (SELECT FROM release_days d
    WHERE d.manga_id = t.manga_id AND d.released_on > %(since)s)"""
_OF_ALL = f"""
    (SELECT manga_id FROM title_popularity t WHERE {_HAD_RELEASE}
     ORDER BY follows DESC NULLS LAST, manga_id LIMIT {MOST_TITLES})
    UNION ALL
    (SELECT manga_id FROM (SELECT id AS manga_id FROM manga) AS t
     WHERE NOT EXISTS (SELECT FROM title_popularity p WHERE p.manga_id = t.manga_id)
         AND {_HAD_RELEASE}
     ORDER BY manga_id LIMIT {MOST_TITLES})
    LIMIT {MOST_TITLES}"""


def expect_library(connection: sql.Connection, user_id: UUID, now: datetime) -> list[Expected]:
    """Return what is expected of a reader's titles."""
    return _expect(connection, _OF_READER, now, user=user_id)


def expect_unmuted(connection: sql.Connection, user_id: UUID, now: datetime) -> list[Expected]:
    """Return what is expected of the titles of which a reader is told."""
    return _expect(connection, _UNMUTED, now, user=user_id)


def expect_all(connection: sql.Connection, now: datetime) -> list[Expected]:
    """Return what is expected of the most followed titles that had a release lately."""
    return _expect(connection, _OF_ALL, now)


def expect_one(
    connection: sql.Connection, manga_id: int, user_id: UUID | None, now: datetime
) -> Expected | None:
    found = _expect(connection, _ONE, now, user=user_id, manga_id=manga_id)
    return found[0] if found else None


def _expect(
    connection: sql.Connection,
    titles: str,
    now: datetime,
    user: UUID | None = None,
    manga_id: int | None = None,
) -> list[Expected]:
    today = now.date()
    query = _DAYS.format(titles=titles, is_read=_IS_READ, max_title=_MAX_TITLE)
    values = {"user": user, "manga_id": manga_id, "today": today, "since": today - _RECENT}
    rows = connection.execute(query.encode(), values).fetchall()
    return [_expected(row, today) for row in rows]


def _expected(row: Sequence[Any], today: date) -> Expected:
    manga_id, title, slug, status, language, newest_first = row
    days = tuple(reversed(newest_first or ()))
    return Expected(manga_id, title, slug, language or "", days, predict(days, status, today))
