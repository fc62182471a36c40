"""What an import writes to a reader's library and progress: SQL.

All statements are sets, and write only what differs: the same list again changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import sql
from readers.errors import NotFound
from readers.lists.entries.entry import Entry, merge
from readers.lists.standing import Standing, raised
from readers.progress import mark_read
from readers.users import User

# A dropped title comes without news of it.
_ADD = """
WITH given AS MATERIALIZED (
    SELECT * FROM unnest(%(ids)s::bigint[], %(statuses)s::text[], %(moments)s::timestamptz[])
        AS g (manga_id, status, listed_at)
), added AS (
    INSERT INTO user_library (user_id, manga_id, added_at)
    SELECT %(user)s, manga_id, least(listed_at, now()) FROM given
    WHERE NOT EXISTS (SELECT FROM user_library l
                      WHERE l.user_id = %(user)s AND l.manga_id = given.manga_id)
    ON CONFLICT DO NOTHING RETURNING manga_id
), muted AS (
    INSERT INTO library_settings (user_id, manga_id, muted)
    SELECT %(user)s, manga_id, true FROM added JOIN given USING (manga_id)
    WHERE status = 'dropped' ON CONFLICT DO NOTHING
)
SELECT manga_id FROM added
"""
_RAISE = """
INSERT INTO user_progress AS p (user_id, manga_id, status, current_chapter, updated_at)
SELECT %(user)s, manga_id, status, chapter, now()
FROM unnest(%(ids)s::bigint[], %(statuses)s::text[], %(chapters)s::integer[])
    AS g (manga_id, status, chapter)
ON CONFLICT (user_id, manga_id) DO UPDATE SET status = excluded.status,
    current_chapter = greatest(p.current_chapter, excluded.current_chapter), updated_at = now()
"""


def lock_reader(connection: sql.Connection, user: User) -> None:
    """Let one import of a reader write at a time, until the end of the transaction.

    Raises:
        NotFound: the user is not there any more.
    """
    # Locking the user's row would need the right to change it.
    lock = "SELECT pg_advisory_xact_lock(hashtextextended('import of ' || %s, 0))"
    connection.execute(lock, [str(user.id)])
    if connection.execute("SELECT FROM users WHERE id = %s", [user.id]).fetchone() is None:
        raise NotFound(f"there is no user {user.username!r} any more")


def add_titles(connection: sql.Connection, user: User, entries: Mapping[int, Entry]) -> set[int]:
    """Put titles into the library, by `manga.id`, with status and progress; return the new ones.

    Notifications of chapters that the list says are read become read.
    """
    if not entries:
        return set()
    entries = _follow_moves(connection, user, entries)
    rows = connection.execute(
        _ADD,
        {
            "user": user.id,
            "ids": list(entries),
            "statuses": [entry.status for entry in entries.values()],
            "moments": [entry.listed_at for entry in entries.values()],
        },
    ).fetchall()
    _raise_progress(connection, user, entries)
    return {manga_id for (manga_id,) in rows}


def _follow_moves(
    connection: sql.Connection, user: User, entries: Mapping[int, Entry]
) -> Mapping[int, Entry]:
    """Return the entries by the titles that took the place of those that are gone."""
    rows = connection.execute(
        "SELECT old_id, new_id FROM manga_moves JOIN manga ON manga.id = old_id"
        " WHERE user_id = %s AND old_id = ANY(%s::bigint[]) AND unavailable_at IS NOT NULL",
        [user.id, list(entries)],
    ).fetchall()
    moved: dict[int, int] = dict(rows)
    followed: dict[int, Entry] = {}
    for old_id, entry in entries.items():
        id = moved.get(old_id, old_id)
        followed[id] = merge(followed[id], entry) if id in followed else entry
    return followed


def _raise_progress(connection: sql.Connection, user: User, entries: Mapping[int, Entry]) -> None:
    before = _read_standings(connection, user, list(entries))
    after = {
        id: raised(before.get(id), entry.status, entry.progress) for id, entry in entries.items()
    }
    changed = {id: s for id, s in after.items() if s is not None and s != before.get(id)}
    if not changed:
        return
    connection.execute(
        _RAISE,
        {
            "user": user.id,
            "ids": list(changed),
            "statuses": [standing.status for standing in changed.values()],
            "chapters": [standing.chapter for standing in changed.values()],
        },
    )
    read: list[tuple[int, Decimal]] = [
        (id, entries[id].progress or Decimal(0)) for id in changed if entries[id].progress
    ]
    mark_read(connection, user, [id for id, _ in read], [number for _, number in read])


def _read_standings(
    connection: sql.Connection, user: User, manga_ids: Sequence[int]
) -> dict[int, Standing]:
    rows = connection.execute(
        "SELECT manga_id, coalesce(status, 'reading'), coalesce(current_chapter, 0)"
        " FROM user_progress WHERE user_id = %s AND manga_id = ANY(%s::bigint[]) FOR UPDATE",
        [user.id, list(manga_ids)],
    ).fetchall()
    return {id: Standing(status, chapter) for id, status, chapter in rows}
