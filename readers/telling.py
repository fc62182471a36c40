"""Notifications that no event of the source makes: SQL, as the notification server stores them."""

from __future__ import annotations

from psycopg.types.json import Jsonb

import sql
from readers.portions import PORTION, TELL
from readers.users import User

# The notification server pushes what has a receipt; the same event id is told once.
_TELL = f"""
WITH receipt AS (
    INSERT INTO notification_receipts (event_id, type, manga_id)
    VALUES (%(event_id)s, replace(lower(%(type)s::text), '_', '-'), %(manga_id)s)
    ON CONFLICT DO NOTHING RETURNING event_id
), stored AS (
    INSERT INTO notifications (user_id, type, manga_id, title, message, data, event_id, read,
                               created_at)
    SELECT %(user)s, %(type)s::text, %(manga_id)s, %(title)s, %(message)s, %(data)s, event_id,
           false, now() FROM receipt
    RETURNING id, event_id
), portions AS ({PORTION}
)
SELECT {TELL} FROM (SELECT event_id, id AS portion FROM portions) AS told
"""


def tell(
    connection: sql.Connection,
    user: User,
    type: str,
    event_id: str,
    manga_id: int | None,
    title: str,
    message: str,
) -> None:
    """Put one notification into a reader's inbox.

    Args:
        type: as a datagram has it, such as NEW_MANGA.
        event_id: of an event that was told before, nothing is stored.
    """
    values = {
        "user": user.id,
        "type": type,
        "event_id": event_id,
        "manga_id": manga_id,
        "title": title,
        "message": message,
        "data": Jsonb({"data": {}, "changes": []}),
    }
    connection.execute(_TELL, values)
