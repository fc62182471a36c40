"""What was stored or rotated, by any server, since this one last looked: SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

import sql
from notify_server.store.foreign_rows import CONTENT, read_content
from notify_server.store.notifications import StoredEvent
from notify_server.store.recipients import PACKED, Recipients
from notify_server.store.snapshot import Snapshot, full_xid, parse_snapshot

# No statement that stores an event takes longer (see the statement timeout), and fewer numbers are
# taken in that time. So everything older than both was committed, and seen by the look before.
_LONGEST_TRANSACTION = timedelta(minutes=2)
_MOST_RECEIPTS = 20_000


class Look(NamedTuple):
    """What one look at the database has seen.

    Attributes:
        seq: the number of the newest receipt.
        unseen: ids of events that the look before did not see.
        generations: of keys that were rotated since the look before, by user.
    """

    now: datetime
    snapshot: Snapshot
    seq: int
    unseen: list[str]
    generations: dict[bytes, int]


def look(connection: sql.Connection, before: Look | None) -> Look:
    """Look at the database; in the first look, nothing counts as unseen."""
    rows = connection.execute(
        "SELECT now(), pg_current_snapshot()::text, "
        "  (SELECT coalesce(max(seq), 0) FROM notification_receipts), event_id, xid "
        "FROM (SELECT) AS always LEFT JOIN (SELECT event_id, xmin::text::bigint AS xid, seq "
        "  FROM notification_receipts WHERE seq > %s AND received_at >= %s) r ON true "
        "ORDER BY seq",
        (before.seq - _MOST_RECEIPTS, _since(before)) if before else (0, None),
    ).fetchall()
    now, snapshot, seq = rows[0][0], parse_snapshot(rows[0][1]), rows[0][2]
    if before is None:
        return Look(now, snapshot, seq, [], {})
    unseen = [
        event_id
        for *_, event_id, xid in rows
        if event_id is not None and not before.snapshot.sees(full_xid(xid, snapshot))
    ]
    return Look(now, snapshot, seq, unseen, _rotated(connection, _since(before)))


def _since(before: Look) -> datetime:
    return before.now - _LONGEST_TRANSACTION


def _rotated(connection: sql.Connection, since: datetime) -> dict[bytes, int]:
    rows = connection.execute(
        "SELECT user_id, generation FROM notify_keys WHERE rotated_at >= %s", (since,)
    ).fetchall()
    return {user_id.bytes: generation for user_id, generation in rows}


def load_event(connection: sql.Connection, event_id: str) -> StoredEvent | None:
    """Return a stored event; None if it does not exist, or had no recipients."""
    receipt = connection.execute(
        "SELECT xmin::text::bigint, pg_current_snapshot()::text FROM notification_receipts "
        "WHERE event_id = %s",
        (event_id,),
    ).fetchone()
    query = f"SELECT {CONTENT} FROM notifications WHERE event_id = %s LIMIT 1"
    content = connection.execute(query.encode(), (event_id,)).fetchone()
    query = f"SELECT {PACKED} FROM notifications WHERE event_id = %s AND user_id IS NOT NULL"
    packed = connection.execute(query.encode(), (event_id,), binary=True).fetchone()
    if receipt is None or content is None or packed is None or packed[0] is None:
        return None
    xid = full_xid(receipt[0], parse_snapshot(receipt[1]))
    return StoredEvent(read_content(content), xid, Recipients(packed[0]))
