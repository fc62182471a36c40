"""SQL of what readers want: entries of lists whose titles are known, but not in the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sql import Connection

MOST_MISSING = 2  # 404s until a title counts as gone
ASKED_AGAIN_AFTER = timedelta(hours=1)  # what the database rejects

# What was not found once is asked for in the next run; the rest fails for longer.
_DUE = "state = 'wanted' AND (asked_at IS NULL OR attempts > 0 OR asked_at <= %(before)s)"


def is_any(connection: Connection) -> bool:
    """Return whether any reader wants a title."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM import_entries WHERE state = 'wanted')"
    ).fetchone()
    return row is not None and bool(row[0])


def read_numbers(connection: Connection, now: datetime) -> list[int]:
    """Return the numbers of before 2021 whose ids are to be asked for."""
    rows = connection.execute(
        f"SELECT DISTINCT legacy_id FROM import_entries WHERE {_DUE}"
        " AND mangadex_id IS NULL AND legacy_id IS NOT NULL ORDER BY 1".encode(),
        {"before": now - ASKED_AGAIN_AFTER},
    ).fetchall()
    return [row[0] for row in rows]


def set_ids(
    connection: Connection, asked: Sequence[int], found: Mapping[int, UUID], now: datetime
) -> int:
    """Store the ids of old numbers; entries with a number that is not known are unmatched.

    Returns:
        how many numbers are not known.
    """
    connection.execute(
        "UPDATE import_entries SET mangadex_id = found.id, updated_at = %s"
        " FROM unnest(%s::integer[], %s::uuid[]) AS found (number, id)"
        " WHERE state = 'wanted' AND mangadex_id IS NULL AND legacy_id = number",
        [now, list(found), list(found.values())],
    )
    unknown = [number for number in asked if number not in found]
    connection.execute(
        "UPDATE import_entries SET state = 'unmatched', asked_at = %(now)s, updated_at = %(now)s,"
        " why = 'MangaDex does not know its old number ' || legacy_id"
        " WHERE state = 'wanted' AND mangadex_id IS NULL AND legacy_id = ANY(%(unknown)s)",
        {"now": now, "unknown": unknown},
    )
    return len(unknown)


def read_ids(connection: Connection, now: datetime) -> list[UUID]:
    """Return the titles to be asked for, those that were not asked for yet first."""
    rows = connection.execute(
        f"SELECT mangadex_id FROM import_entries WHERE {_DUE} AND mangadex_id IS NOT NULL"
        " AND NOT EXISTS (SELECT FROM manga WHERE manga.mangadex_id = import_entries.mangadex_id)"
        " GROUP BY mangadex_id ORDER BY min(asked_at) NULLS FIRST, min(id)".encode(),
        {"before": now - ASKED_AGAIN_AFTER},
    ).fetchall()
    return [row[0] for row in rows]


def mark_numbers_asked(connection: Connection, numbers: Sequence[int], now: datetime) -> None:
    """Record that old numbers were asked for in vain."""
    connection.execute(
        "UPDATE import_entries SET asked_at = %s WHERE state = 'wanted' AND mangadex_id IS NULL"
        " AND legacy_id = ANY(%s)",
        [now, list(numbers)],
    )


def mark_asked(connection: Connection, ids: Sequence[UUID], now: datetime) -> None:
    """Record that titles were asked for that cannot be stored."""
    connection.execute(
        "UPDATE import_entries SET asked_at = %s WHERE state = 'wanted' AND mangadex_id = ANY(%s)",
        [now, list(ids)],
    )


def mark_missing(connection: Connection, ids: Sequence[UUID], now: datetime) -> int:
    """Count a 404 of each title; a title that was missing before is gone.

    Returns:
        how many entries are unmatched by that.
    """
    rows = connection.execute(
        "UPDATE import_entries SET attempts = attempts + 1, asked_at = %(now)s,"
        " updated_at = %(now)s,"
        " state = CASE WHEN attempts + 1 < %(most)s THEN state ELSE 'unmatched' END,"
        " why = CASE WHEN attempts + 1 < %(most)s THEN 'MangaDex does not have it; asked once more'"
        "  ELSE 'MangaDex has no title with its id any more' END"
        " WHERE state = 'wanted' AND mangadex_id = ANY(%(ids)s) RETURNING state",
        {"now": now, "most": MOST_MISSING, "ids": list(ids)},
    ).fetchall()
    return sum(state == "unmatched" for (state,) in rows)
