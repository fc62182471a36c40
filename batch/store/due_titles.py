"""SQL of `chapter-check`'s turns: which titles are due, and which were checked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from batch.store.titles import FUTURE, take_turn
from sql import Connection


def mark_due(connection: Connection, mangadex_ids: Sequence[UUID] | None = None) -> int:
    """Make these titles, or all, due for `chapter-check`; return how many were not.

    It comes first in its transaction: it takes the turn where there is something to write.
    """
    if mangadex_ids is not None and not mangadex_ids:
        return 0
    take_turn(connection)
    only = "" if mangadex_ids is None else " AND mangadex_id = ANY(%s)"
    return connection.execute(
        "UPDATE manga SET last_chapter_check = NULL WHERE last_chapter_check IS NOT NULL"
        f" AND mangadex_id IS NOT NULL{only}",
        [] if mangadex_ids is None else [list(mangadex_ids)],
    ).rowcount


def mark_checked(connection: Connection, mangadex_id: UUID, now: datetime) -> None:
    """Record that the title's whole feed was read."""
    connection.execute(
        "UPDATE manga SET last_chapter_check = %s WHERE mangadex_id = %s", [now, mangadex_id]
    )


def read_due(
    connection: Connection, before: datetime, now: datetime, limit: int | None
) -> list[UUID]:
    """Return tracked titles not checked since `before`, at most `limit`.

    Never checked ones come first, then those that were checked at a time to come (some clock was
    wrong), then the oldest. One query for all could not use the index to find the first.
    """
    kinds: list[tuple[str, list[datetime]]] = [
        ("last_chapter_check IS NULL ORDER BY id", []),
        ("last_chapter_check > %s ORDER BY id", [now + FUTURE]),
        ("last_chapter_check <= %s ORDER BY last_chapter_check, id", [before]),
    ]
    due: list[UUID] = []
    for which, values in kinds:
        left = None if limit is None else limit - len(due)
        due += _read_tracked(connection, which, values, left) if left != 0 else []
    return due


def _read_tracked(
    connection: Connection, which: str, values: list[datetime], limit: int | None
) -> list[UUID]:
    rows = connection.execute(
        "SELECT mangadex_id FROM manga WHERE mangadex_id IS NOT NULL"
        f" AND first_synced_at IS NOT NULL AND unavailable_at IS NULL AND {which} LIMIT %s",
        [*values, limit],
    ).fetchall()
    return [row[0] for row in rows]
