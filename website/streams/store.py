"""What streams send: events and marks that a snapshot has not seen. SQL.

Every function belongs into one transaction that sees one snapshot: see `snapshot_of`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sql
from readers import unread
from readers.datagram import DatagramTemplate, make_template
from readers.foreign_rows import CONTENT, SHOWN, read_content
from readers.keys import CHANNEL
from readers.recipients import BEHIND, PACKED, Recipients
from sql.snapshot import Snapshot, full_xid, parse_snapshot

MARKS_CHANNEL = "mangahub_marks"  # told by a trigger of the table
CHANNELS = (CHANNEL, MARKS_CHANNEL)
MAX_REPLAY = 1_000
# No statement that stores an event takes longer, and fewer numbers are taken in that time.
_LONGEST_TRANSACTION = timedelta(minutes=2)
_MOST_RECEIPTS = 20_000
_MOST_NAMED = 500  # of more readers, all recipients are read, which is faster
# Ids are not given in the order of commits: what is among the newest by id may be older by a few.
_SLACK = 500

_NOW = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
# Of a row that this snapshot sees; see `sql.snapshot.full_xid`.
_XID = f"greatest({_NOW} - (({_NOW} - xmin::text::bigint) & 4294967295), 1)::text::xid8"
_UNSEEN = f"NOT pg_visible_in_snapshot({_XID}, %(seen)s::pg_snapshot)"


class Moment(NamedTuple):
    """One look at the database.

    Attributes:
        seq: the number of the newest receipt.
    """

    now: datetime
    snapshot: Snapshot
    seq: int


class Missed(NamedTuple):
    """An event that somebody has not been sent."""

    xid: int
    event_id: str


class Share(NamedTuple):
    """Recipients of an event whose notifications are the same but for the id."""

    template: DatagramTemplate
    recipients: Recipients


class Event(NamedTuple):
    """An event as it is sent.

    Attributes:
        seq: its number, the id of what visitors get.
        template: what visitors get; None if it is no public news, but for its recipient alone, and
            in a later transaction, which only has more of the recipients.
        shares: those of its recipients who were asked for, and got their row in `xid`.
    """

    xid: int
    seq: int
    template: DatagramTemplate | None
    shares: list[Share]


class Marks(NamedTuple):
    """What a reader has marked.

    Attributes:
        read, unread: ids of notifications, by how they are marked now.
        left: how many are unread in all.
    """

    read: list[int]
    unread: list[int]
    left: int


@asynccontextmanager
async def snapshot_of(connection: sql.AsyncConnection) -> AsyncIterator[None]:
    """Let all queries of the block see the same transactions."""
    await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    try:
        yield
    finally:
        if not connection.closed:
            await connection.execute("ROLLBACK")


async def look(
    connection: sql.AsyncConnection, before: Moment | None
) -> tuple[Moment, list[Missed]]:
    """Return this moment, and the events that the one before had not seen, in their order."""
    cursor = await connection.execute(
        "SELECT now(), pg_current_snapshot()::text, coalesce(newest.seq, 0), r.event_id, xid"
        " FROM (SELECT) AS always LEFT JOIN (SELECT seq FROM notification_receipts"
        "  ORDER BY seq DESC LIMIT 1) AS newest ON true"
        " LEFT JOIN (SELECT event_id, xmin::text::bigint AS xid"
        "  FROM notification_receipts WHERE seq > %(seq)s AND received_at >= %(since)s"
        "  UNION SELECT event_id, xmin::text::bigint FROM notification_portions"
        "  WHERE id > (SELECT max(id) FROM notification_portions) - %(most)s"
        "  AND stored_at >= %(since)s) r ON true",
        {
            "seq": before.seq - _MOST_RECEIPTS if before else 0,
            "since": before.now - _LONGEST_TRANSACTION if before else None,
            "most": _MOST_RECEIPTS,
        },
    )
    rows = await cursor.fetchall()
    now, text, seq, *_ = rows[0]
    moment = Moment(now, parse_snapshot(text), seq)
    if before is None:
        return moment, []
    found = [Missed(full_xid(row[4], moment.snapshot), row[3]) for row in rows if row[3]]
    return moment, sorted(each for each in found if not before.snapshot.sees(each.xid))


_MISSED_BY_VISITORS = (
    f"SELECT ({_XID})::text::bigint, event_id FROM notification_receipts WHERE event_id IN"
    " (SELECT event_id FROM notification_receipts ORDER BY seq DESC LIMIT %(most)s)"
    f" AND {_UNSEEN}"
)
_MISSED_BY_READER = (
    f"SELECT ({_XID.replace('xmin', 'p.xmin')})::text::bigint, p.event_id FROM"
    " (SELECT id, event_id FROM notifications WHERE user_id = %(reader)s AND event_id IS NOT NULL"
    "  ORDER BY id DESC LIMIT %(most)s) AS n JOIN notification_portions AS p"
    " ON p.event_id = n.event_id AND n.id BETWEEN p.first_id AND p.last_id"
    f" WHERE {_UNSEEN.replace('xmin', 'p.xmin')}"
)


async def missed_by(
    connection: sql.AsyncConnection, reader: UUID | None, seen: Snapshot
) -> list[Missed]:
    """Return the events that a reader, or a visitor, has not seen, in their order.

    Of more than MAX_REPLAY some may be missing.
    """
    query = _MISSED_BY_READER if reader else _MISSED_BY_VISITORS
    values = {"reader": reader, "most": MAX_REPLAY + _SLACK, "seen": str(seen)}
    cursor = await connection.execute(query.encode(), values)
    return sorted(Missed(*row) for row in await cursor.fetchall())


_LOAD = (
    f"SELECT event_id, ({_XID})::text::bigint, seq, upper(translate(type, '-', '_')), manga_id,"
    f" left(title, {SHOWN}), left(message, {SHOWN}), received_at, data::text"
    " FROM notification_receipts WHERE event_id = ANY(%s)"
).encode()
_PORTION_XID = _XID.replace("xmin", "p.xmin")
_SHARES = (
    f"SELECT ({_PORTION_XID})::text::bigint AS xid, event_id, min(n.id),"
    f" {PACKED.replace('(id', '(n.id')} FROM notifications n"
    " JOIN notification_portions p USING (event_id)"
    f" WHERE event_id = ANY(%(events)s) AND ({_PORTION_XID})::text::bigint = ANY(%(xids)s)"
    " AND n.user_id IS NOT NULL"
    " AND (%(readers)s::uuid[] IS NULL OR n.user_id = ANY(%(readers)s))"
    f" AND n.id BETWEEN p.first_id AND p.last_id GROUP BY xid, event_id, {BEHIND}"
).encode()
_CONTENTS = f"SELECT id, {CONTENT} FROM notifications WHERE id = ANY(%s::bigint[])".encode()


async def load(
    connection: sql.AsyncConnection, missed: Sequence[Missed], readers: Sequence[UUID]
) -> list[Event]:
    """Return the events in their order, with those readers that are recipients."""
    if not missed:
        return []
    ids = [each.event_id for each in missed]
    cursor = await connection.execute(_LOAD, [ids])
    rows = {row[0]: row[1:] for row in await cursor.fetchall()}
    shares = await _load_shares(connection, missed, readers) if readers else {}
    return [
        Event(
            each.xid,
            rows[each.event_id][1],
            _public(rows[each.event_id][2:]) if each.xid == rows[each.event_id][0] else None,
            shares.get(each, []),
        )
        for each in missed
        if each.event_id in rows
    ]


def _public(content: Sequence[Any]) -> DatagramTemplate | None:
    """Return what visitors get; what is for one reader has no message in its receipt."""
    *_, message, _, _ = content
    return make_template(read_content(content)) if message is not None else None


async def _load_shares(
    connection: sql.AsyncConnection, missed: Sequence[Missed], readers: Sequence[UUID]
) -> dict[Missed, list[Share]]:
    named = list(readers) if len(readers) <= _MOST_NAMED else None
    xids, event_ids = zip(*missed, strict=True)
    values = {"events": list(event_ids), "xids": list(xids), "readers": named}
    cursor = await connection.execute(_SHARES, values, binary=True)
    found = await cursor.fetchall()
    cursor = await connection.execute(_CONTENTS, [[id for _, _, id, _ in found]])
    templates = {
        id: make_template(read_content(content)) for id, *content in await cursor.fetchall()
    }
    shares: dict[Missed, list[Share]] = {}
    for xid, event_id, id, packed in found:
        share = Share(templates[id], Recipients(packed))
        shares.setdefault(Missed(xid, event_id), []).append(share)
    return shares


async def marks_of(
    connection: sql.AsyncConnection, readers: Sequence[UUID], ids: Sequence[int]
) -> dict[UUID, Marks]:
    """Return how these notifications are marked now, by those readers whose they are."""
    cursor = await connection.execute(
        "SELECT user_id, id, read IS TRUE FROM notifications"
        " WHERE id = ANY(%s::bigint[]) AND user_id = ANY(%s::uuid[]) ORDER BY id",
        [list(ids), list(readers)],
    )
    return await _with_counts(connection, await cursor.fetchall())


async def marked_since(
    connection: sql.AsyncConnection, readers: Sequence[UUID], seen: Snapshot
) -> dict[UUID, Marks]:
    """Return what each reader has marked that the snapshot has not seen.

    Notifications that are new since, and unread, are not marked.
    """
    query = (
        "SELECT wanted.id, n.id, n.read FROM unnest(%(readers)s::uuid[]) AS wanted (id),"
        f" LATERAL (SELECT id, read IS TRUE AS read, event_id, {_XID} AS xid FROM notifications"
        "  WHERE user_id = wanted.id ORDER BY id DESC LIMIT %(most)s) AS n"
        " WHERE NOT pg_visible_in_snapshot(n.xid, %(seen)s::pg_snapshot)"
        " AND (n.read OR NOT EXISTS (SELECT FROM notification_portions AS p"
        "  WHERE p.event_id = n.event_id AND n.id BETWEEN p.first_id AND p.last_id"
        f"  AND {_UNSEEN.replace('xmin', 'p.xmin')}))"
        " ORDER BY n.id"
    )
    values = {"readers": list(readers), "most": MAX_REPLAY, "seen": str(seen)}
    cursor = await connection.execute(query.encode(), values)
    return await _with_counts(connection, await cursor.fetchall())


async def _with_counts(
    connection: sql.AsyncConnection, rows: Sequence[tuple[UUID, int, bool]]
) -> dict[UUID, Marks]:
    readers = list({row[0] for row in rows})
    query = (
        "SELECT wanted.id, (SELECT count(*) FROM notifications n WHERE n.user_id = wanted.id"
        f"  AND n.id > {unread.read_up_to('wanted.id')} AND n.read IS NOT TRUE)"
        " FROM unnest(%s::uuid[]) AS wanted (id)"
    )
    cursor = await connection.execute(query.encode(), [readers])
    counts: dict[UUID, int] = dict(await cursor.fetchall())
    return {
        reader: Marks(
            [id for owner, id, is_read in rows if owner == reader and is_read],
            [id for owner, id, is_read in rows if owner == reader and not is_read],
            counts[reader],
        )
        for reader in readers
    }
