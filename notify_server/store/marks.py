"""Marking notifications as read and delivered: SQL that waits for no other program."""

from __future__ import annotations

import logging
from collections.abc import Callable

import psycopg

import sql
from sql.connections import Database

log = logging.getLogger(__name__)

Mark = Callable[[sql.Connection, list[int]], object]

_AT_ONCE = 10_000
_SHORT_WAIT = b"SET LOCAL lock_timeout = '200ms'"


def mark_acknowledged(connection: sql.Connection, ids: list[int]) -> None:
    connection.execute(
        "UPDATE notifications SET read = true, delivered_at = coalesce(delivered_at, now()) "
        "WHERE id = ANY(%s::bigint[]) AND (read IS NOT TRUE OR delivered_at IS NULL)",
        (ids,),
    )


def mark_read(connection: sql.Connection, ids: list[int]) -> int:
    """Mark the notifications as read and return how many of them exist."""
    row = connection.execute(
        "WITH marked AS (UPDATE notifications SET read = true "
        "WHERE id = ANY(%(ids)s::bigint[]) AND read IS NOT TRUE) "
        "SELECT count(*) FROM notifications WHERE id = ANY(%(ids)s::bigint[])",
        {"ids": ids},
    ).fetchone()
    return int(row[0]) if row else 0


def mark_all(database: Database, mark: Mark, ids: list[int]) -> list[int]:
    """Mark the notifications; return the ids that have to be tried again later.

    Some are left if the database is unavailable, or another program keeps their rows locked.
    """
    # Sorted, so that two servers that mark the same rows lock them in the same order.
    ids = sorted(set(ids)) if len(ids) > 1 else ids
    left: list[int] = []
    for start in range(0, len(ids), _AT_ONCE):
        try:
            with database.connection() as connection:
                left += _mark_unlocked(connection, mark, ids[start : start + _AT_ONCE])
        except (sql.SqlError, psycopg.errors.OperationalError) as exc:
            # Tried again every half second; `Database` says once what is wrong.
            log.debug("Notifications cannot be marked yet ids=%d reason=%s", len(ids) - start, exc)
            return left + ids[start:]
        except Exception:
            log.exception("Unexpected error, notifications are not marked")
    return left


def _mark_unlocked(connection: sql.Connection, mark: Mark, ids: list[int]) -> list[int]:
    """Mark all rows, or all that no other program keeps locked; return the ids of the rest."""
    try:
        with connection.transaction():
            connection.execute(_SHORT_WAIT)
            mark(connection, ids)
        return []
    except psycopg.errors.LockNotAvailable:
        with connection.transaction():
            free, locked = _lock(connection, ids)
            mark(connection, free)
        log.info("Another program keeps notifications locked ids=%d", len(locked))
        return locked


def _lock(connection: sql.Connection, ids: list[int]) -> tuple[list[int], list[int]]:
    """Lock the rows that are free; return the ids of these, and of those locked elsewhere."""
    statement = "SELECT id FROM notifications WHERE id = ANY(%s::bigint[])"
    taken = connection.execute(statement + " FOR NO KEY UPDATE SKIP LOCKED", (ids,)).fetchall()
    free = {row[0] for row in taken}
    others = [id for id in ids if id not in free]
    locked = connection.execute(statement, (others,)).fetchall()
    return sorted(free), sorted(row[0] for row in locked)
