"""Events whose recipients have not all got their row yet: SQL."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import sql
from notify_server.events.kinds import KINDS, Event, Traits
from readers.foreign_rows import read_data

# A server that goes on with an event stores more of it far sooner: after this time it has gone.
_IDLE = "3 s"
# Those least lately touched first, so that none waits for the end of a larger one; readers of a
# title hear of its events in order.
_CHOOSE = f"""
SELECT u.event_id, r.type, u.manga_id, r.title, r.message, r.data::text, u.traits, u.after,
       r.received_at
FROM unfinished_events u JOIN notification_receipts r USING (event_id)
WHERE (u.event_id = ANY(%s) OR u.touched_at < now() - interval '{_IDLE}')
  AND (u.audience = 'users' OR NOT EXISTS (
      SELECT FROM unfinished_events AS earlier
      WHERE earlier.manga_id = u.manga_id AND earlier.audience = u.audience
        AND earlier.seq < u.seq))
ORDER BY u.touched_at LIMIT 1""".encode()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An event with the last user who has a row of it; None if nobody has."""

    event: Event
    after: UUID | None
    received_at: datetime


def choose_next(connection: sql.Connection, own: Collection[str]) -> Unfinished | None:
    """Return the event to go on with: one of these, or one that no server goes on with."""
    row = connection.execute(_CHOOSE, [list(own)]).fetchone()
    if row is None:
        return None
    event_id, kind, manga_id, title, message, data_text, traits, after, received_at = row
    data, changes = read_data(data_text)
    event = Event(event_id, KINDS[kind], manga_id, title, message, data, changes, Traits(**traits))
    return Unfinished(event, after, received_at)
