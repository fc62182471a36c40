"""What was stored or rotated, by any server, since this one last looked: SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sql
from notify_server.store.notifications import StoredEvent
from readers.foreign_rows import CONTENT, read_content
from readers.recipients import BEHIND, PACKED, Recipients
from sql.snapshot import Snapshot, full_xid, parse_snapshot

# No statement that stores an event takes longer (see the statement timeout), and fewer numbers are
# taken in that time. So everything older than both was committed, and seen by the look before.
_LONGEST_TRANSACTION = timedelta(minutes=2)
_MOST_PORTIONS = 20_000
_SEQUENCE = "pg_get_serial_sequence('notifications', 'id')::regclass"
_LAST_ID = f"coalesce(pg_sequence_last_value({_SEQUENCE}), 0)"
# More than can be lost: ids of notifications are given as long as the old primary works.
_GAP = 1_000_000
_GAP_LOCK = 7_241_905_318_842_012  # any constant does, as long as all servers agree on it


class Portion(NamedTuple):
    """Rows of one event that one transaction has stored.

    Attributes:
        xid: that transaction.
        first_id, last_id: their ids are between these, with those of other events.
    """

    event_id: str
    xid: int
    first_id: int
    last_id: int


class Look(NamedTuple):
    """What one look at the database has seen.

    Attributes:
        seq: the number of the newest portion.
        newest: the event id of the newest receipt, None if there is none.
        last_id: the highest id that a notification was given.
        unseen: what the look before did not see.
        generations: of keys that were rotated since the look before, by user.
    """

    now: datetime
    snapshot: Snapshot
    seq: int
    newest: str | None
    last_id: int
    unseen: list[Portion]
    generations: dict[bytes, int]


_PORTION = "event_id, xmin::text::bigint AS xid, first_id, last_id"


def look(connection: sql.Connection, before: Look | None) -> Look:
    """Look at the database; in the first look, nothing counts as unseen."""
    rows = connection.execute(
        "SELECT now(), pg_current_snapshot()::text, "
        "  coalesce((SELECT max(id) FROM notification_portions), 0), "
        "  (SELECT event_id FROM notification_receipts ORDER BY seq DESC LIMIT 1), "
        f"  {_LAST_ID}, r.event_id, xid, first_id, last_id "
        f"FROM (SELECT) AS always LEFT JOIN (SELECT id, {_PORTION} "
        "  FROM notification_portions WHERE id > %s AND stored_at >= %s) r ON true "
        "ORDER BY r.id",
        (before.seq - _MOST_PORTIONS, _since(before)) if before else (0, None),
    ).fetchall()
    now, snapshot_text, seq, newest, last_id, *_ = rows[0]
    snapshot = parse_snapshot(snapshot_text)
    if before is None:
        return Look(now, snapshot, seq, newest, last_id, [], {})
    found = [_portion(row[5:], snapshot) for row in rows if row[5] is not None]
    unseen = [portion for portion in found if not before.snapshot.sees(portion.xid)]
    rotated = _rotated(connection, _since(before))
    return Look(now, snapshot, seq, newest, last_id, unseen, rotated)


def _portion(row: Sequence[Any], snapshot: Snapshot) -> Portion:
    event_id, xid, first_id, last_id = row
    return Portion(event_id, full_xid(xid, snapshot), first_id, last_id)


def count_lost(connection: sql.Connection, before: Look | None, events: list[str]) -> int:
    """Return how many of these events, and of what the look before saw, are not there any more.

    Raises:
        DatabaseUnwritable: it is a standby, which may lack what it gets later.
    """
    known = [*events, before.newest] if before and before.newest else events
    query = (
        f"SELECT pg_is_in_recovery(), {_LAST_ID}, (SELECT count(*) FROM unnest(%s::text[]) AS id "
        "  WHERE NOT EXISTS (SELECT FROM notification_receipts WHERE event_id = id))"
    )
    is_standby, last_id, lost = connection.execute(query.encode(), [known]).fetchall()[0]
    if is_standby:
        raise sql.DatabaseUnwritable("the database is a standby: set DATABASE_URL to the primary")
    return int(lost) + int(before is not None and last_id < before.last_id)


def leave_gap(connection: sql.Connection, before: Look | None) -> int:
    """Move the ids of notifications above all that were ever given; return the last one."""
    query = f"SELECT setval({_SEQUENCE}, greatest({_LAST_ID}, %s) + {_GAP})"
    with connection.transaction():
        # If several servers do this at once, each continues where the one before ended.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_GAP_LOCK])
        row = connection.execute(query.encode(), [before.last_id if before else 0]).fetchone()
    return int(row[0]) if row and row[0] else 0


def _since(before: Look) -> datetime:
    return before.now - _LONGEST_TRANSACTION


def _rotated(connection: sql.Connection, since: datetime) -> dict[bytes, int]:
    rows = connection.execute(
        "SELECT user_id, generation FROM notify_keys WHERE rotated_at >= %s", (since,)
    ).fetchall()
    return {user_id.bytes: generation for user_id, generation in rows}


def find_portions(
    connection: sql.Connection, event_id: str, portion_id: int | None
) -> list[Portion]:
    """Return this portion of an event, or all that are stored."""
    rows = connection.execute(
        f"SELECT pg_current_snapshot()::text, {_PORTION} FROM notification_portions "
        "WHERE CASE WHEN %(id)s::bigint IS NULL THEN event_id = %(event)s ELSE id = %(id)s END "
        "ORDER BY id",
        {"id": portion_id, "event": event_id},
    ).fetchall()
    return [_portion(row, parse_snapshot(text)) for text, *row in rows]


def load_portion(connection: sql.Connection, portion: Portion) -> list[StoredEvent]:
    """Return what is stored of an event, in a part for each share of its recipients."""
    event_id, xid, first_id, last_id = portion
    query = (
        f"SELECT min(id), {PACKED} FROM notifications WHERE id BETWEEN %s AND %s"
        f" AND event_id = %s AND user_id IS NOT NULL GROUP BY {BEHIND}"
    )
    values = (first_id, last_id, event_id)
    shares = connection.execute(query.encode(), values, binary=True).fetchall()
    query = f"SELECT id, {CONTENT} FROM notifications WHERE id = ANY(%s::bigint[])"
    rows = connection.execute(query.encode(), ([id for id, _ in shares],)).fetchall()
    contents = {id: read_content(content) for id, *content in rows}
    return [
        StoredEvent(contents[id], xid, Recipients(packed))
        for id, packed in shares
        if id in contents
    ]
