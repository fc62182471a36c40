"""What a reader is notified on: SQL."""

from __future__ import annotations

from datetime import datetime

import sql
from readers.users import User

_LOOKED_AT = 500  # the reader's newest notifications


def last_acknowledged(connection: sql.Connection, user: User) -> datetime | None:
    """Return when a client of the reader last acknowledged a notification, as far as is known."""
    row = connection.execute(
        "SELECT max(delivered_at) FROM (SELECT delivered_at FROM notifications"
        " WHERE user_id = %s ORDER BY id DESC LIMIT %s) AS newest",
        [user.id, _LOOKED_AT],
    ).fetchone()
    return row[0] if row else None
