"""Raising the marks up to which readers have read everything: SQL, now and then."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from uuid import UUID

import psycopg

import sql
from notify_server.store.horizon import Horizon
from readers.unread import raise_marks

log = logging.getLogger(__name__)

# Of the rows that are new since the last time one of 64 has the mark of its reader raised, chosen
# by chance: so there are some 64 rows above a mark, and raising costs next to nothing a row.
_CHOSEN = (
    "SELECT DISTINCT user_id FROM notifications"
    " WHERE id > %s AND id <= %s AND hashint8(id) & 63 = 0 AND user_id IS NOT NULL ORDER BY user_id"
)
_MOST_ROWS = 300_000
_USERS_AT_ONCE = 200


class ReadMarks:
    """Knows up to which row it has looked for readers. Belongs to one thread."""

    def __init__(self) -> None:
        self._horizon = Horizon()
        self._done = 0

    def advance(self, connection: sql.Connection) -> None:
        """Raise the marks of readers who have new rows."""
        self._horizon.look(connection)
        done, self._done = self._done, self._horizon.id
        if done < self._done and done:
            after = max(done, self._done - _MOST_ROWS)
            rows = connection.execute(_CHOSEN, (after, self._done)).fetchall()
            users = [row[0] for row in rows]
            for start in range(0, len(users), _USERS_AT_ONCE):
                self._raise(connection, users[start : start + _USERS_AT_ONCE])

    def _raise(self, connection: sql.Connection, users: Sequence[UUID]) -> None:
        try:
            raise_marks(connection, users, self._done)
        except psycopg.errors.LockNotAvailable:
            log.debug("Another program makes rows unread, some marks stay users=%d", len(users))
