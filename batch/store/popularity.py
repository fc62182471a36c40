"""SQL of `title_popularity`: how many follow a title at the source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sql import Connection


def has_readers(connection: Connection) -> bool:
    """Return whether there is anybody to suggest titles to."""
    row = connection.execute("SELECT EXISTS (SELECT FROM users)").fetchone()
    return row is not None and bool(row[0])


def read_due(connection: Connection, before: datetime, listed: Sequence[UUID]) -> list[UUID]:
    """Return titles in libraries, and of the listed ones, whose figure is older or not known."""
    rows = connection.execute(
        "SELECT mangadex_id FROM manga LEFT JOIN title_popularity ON manga_id = id"
        " WHERE mangadex_id IS NOT NULL AND unavailable_at IS NULL"
        " AND (asked_at IS NULL OR asked_at <= %(before)s)"
        " AND (mangadex_id = ANY(%(listed)s) OR id IN (SELECT manga_id FROM user_library))"
        " ORDER BY asked_at NULLS FIRST, id",
        {"before": before, "listed": list(listed)},
    ).fetchall()
    return [row[0] for row in rows]


def store_ranks(connection: Connection, listed: Sequence[UUID], first: int) -> None:
    """Store which places titles have in a list by follows, from `first` on."""
    connection.execute(
        "INSERT INTO title_popularity (manga_id, rank)"
        " SELECT manga.id, %s + place - 1"
        " FROM unnest(%s::uuid[]) WITH ORDINALITY AS listed (mangadex_id, place)"
        " JOIN manga USING (mangadex_id) ON CONFLICT (manga_id) DO UPDATE"
        " SET rank = excluded.rank WHERE title_popularity.rank IS DISTINCT FROM excluded.rank",
        [first, list(listed)],
    )


def store(
    connection: Connection, asked: Sequence[UUID], follows: Mapping[UUID, int], now: datetime
) -> None:
    """Store the figures of the titles that were asked for; NULL where there is none."""
    connection.execute(
        "INSERT INTO title_popularity (manga_id, follows, asked_at)"
        " SELECT manga.id, asked.follows, %s"
        " FROM unnest(%s::uuid[], %s::integer[]) AS asked (mangadex_id, follows)"
        " JOIN manga USING (mangadex_id) ON CONFLICT (manga_id) DO UPDATE"
        " SET follows = excluded.follows, asked_at = excluded.asked_at",
        [now, list(asked), [follows.get(each) for each in asked]],
    )
