"""Which notifications a reader has not read: SQL.

There is no index of what is unread: it would make every mark as dear as a new row. Instead there
is a mark for each reader, up to which nothing is unread. It may be too low, which costs time, and
is never too high: triggers lower it for whatever becomes unread below (migration 0036).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import sql


def read_up_to(user: str) -> str:
    """Return SQL for the id up to which nothing of this user is unread.

    Args:
        user: SQL for the user's id that names no column of `notifications`: what is unread is
            `user_id = … AND id > read_up_to AND read IS NOT TRUE`, a range of the index over both.
    """
    return f"coalesce((SELECT m.read_up_to FROM reader_marks m WHERE m.user_id = {user}), 0)"


_ADD = (
    "INSERT INTO reader_marks (user_id, read_up_to) SELECT id, 0 FROM users WHERE id = ANY(%s)"
    " AND NOT EXISTS (SELECT FROM reader_marks WHERE user_id = users.id)"
    " ORDER BY id ON CONFLICT DO NOTHING"
)
_LOCK = "SELECT user_id FROM reader_marks WHERE user_id = ANY(%s) FOR UPDATE SKIP LOCKED"
_RAISE = """
UPDATE reader_marks SET read_up_to = wanted.id FROM (
    SELECT m.user_id, coalesce((
        SELECT least(n.id - 1, %(up_to)s::bigint) FROM notifications n
        WHERE n.user_id = m.user_id AND n.id > m.read_up_to AND n.read IS NOT TRUE
        ORDER BY n.id LIMIT 1), %(up_to)s::bigint) AS id
    FROM reader_marks m WHERE m.user_id = ANY(%(users)s)) AS wanted
WHERE reader_marks.user_id = wanted.user_id AND reader_marks.read_up_to < wanted.id"""


def raise_marks(connection: sql.Connection, users: Sequence[UUID], up_to: int) -> None:
    """Raise the marks of these users as far as everything is read.

    Args:
        up_to: the id up to which no row of an event will appear any more.

    Raises:
        psycopg.errors.LockNotAvailable: another program makes rows unread: try again later.
    """
    given = list(users)
    with connection.transaction():
        connection.execute("SET LOCAL lock_timeout = '200ms'")
        connection.execute(_ADD, [given])
        # Locked first: what is committed as unread until then is seen by the next statement.
        locked = [row[0] for row in connection.execute(_LOCK, [given]).fetchall()]
        connection.execute(_RAISE, {"users": locked, "up_to": up_to})
