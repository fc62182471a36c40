"""What a reader follows, as the pages' frame needs it: SQL."""

from __future__ import annotations

import sql
from readers import unread
from readers.users import User

MOST_COUNTED = 100


def has_titles(connection: sql.Connection, user: User) -> bool:
    """Return whether the reader follows any title."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM user_library WHERE user_id = %s)", (user.id,)
    ).fetchone()
    return row is not None and bool(row[0])


def count_titles(connection: sql.Connection, user: User, most: int) -> int:
    """Return how many titles the reader follows; `most` for as many or more."""
    row = connection.execute(
        "SELECT count(*) FROM (SELECT FROM user_library WHERE user_id = %s LIMIT %s) AS followed",
        (user.id, most),
    ).fetchone()
    return int(row[0]) if row else 0


def count_unread(connection: sql.Connection, user: User) -> int:
    """Return how many notifications are unread; MOST_COUNTED for as many or more."""
    query = (
        "SELECT count(*) FROM (SELECT FROM notifications WHERE user_id = %(user)s"
        f" AND id > {unread.read_up_to('%(user)s')} AND read IS NOT TRUE LIMIT %(most)s) AS unread"
    )
    row = connection.execute(query.encode(), {"user": user.id, "most": MOST_COUNTED}).fetchone()
    return int(row[0]) if row else 0
