"""Storing events as one notification per recipient, and reading and marking notifications: SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

import sql
from notify_server.events.kinds import Event
from notify_server.store.foreign_rows import CONTENT, moment, read_content

CHANNEL = "mangahub_notifications"

# Everything in one statement, and so in one transaction and one round trip. Ids and users come
# back as one binary value, since a Python object for each of 10,000 rows takes longer than storing
# them. The message to other servers is part of the transaction: they hear of what is committed.
_STORE = """
WITH receipt AS (
    INSERT INTO notification_receipts (event_id, type, manga_id)
    SELECT %(event_id)s, %(kind)s, id FROM manga WHERE id = %(manga_id)s
    ON CONFLICT DO NOTHING
    RETURNING event_id
), stored AS (
    INSERT INTO notifications
        (user_id, type, manga_id, title, message, data, event_id, read, created_at)
    SELECT recipient.id, %(type)s, %(manga_id)s, %(title)s, %(message)s, %(data)s, %(event_id)s,
           false, now()
    FROM receipt, (SELECT {recipients}) AS recipient
    ON CONFLICT (event_id, user_id) DO NOTHING
    RETURNING id, user_id
)
SELECT EXISTS (SELECT FROM receipt),
       EXISTS (SELECT FROM manga WHERE id = %(manga_id)s)
           OR EXISTS (SELECT FROM notification_receipts WHERE event_id = %(event_id)s),
       now(),
       pg_current_xact_id()::text::bigint,
       (SELECT string_agg(int8send(id) || uuid_send(user_id), ''::bytea) FROM stored),
       (SELECT pg_notify('{channel}', json_build_object(
            'event_id', event_id, 'xid', pg_current_xact_id()::text)::text)::text FROM receipt)
"""
# Sorted, so that neighbours in the indexes are written together: a fifth less work.
_ALL = "id FROM users ORDER BY id"
_READERS = "user_id AS id FROM user_library WHERE manga_id = %(manga_id)s ORDER BY user_id"
_STORE_FOR_ALL = _STORE.format(recipients=_ALL, channel=CHANNEL).encode()
_STORE_FOR_READERS = _STORE.format(recipients=_READERS, channel=CHANNEL).encode()


class EventOutcome(Enum):
    """What became of an event."""

    STORED = "stored"
    REPEATED = "repeated"
    UNKNOWN_MANGA = "unknown manga"


@dataclass(frozen=True, slots=True)
class Stored:
    """An event's rows.

    Attributes:
        xid: the transaction that stored them.
        rows: 24 bytes for each: id and user.
    """

    outcome: EventOutcome
    created_at: datetime
    xid: int
    rows: bytes


def is_read_only(connection: sql.Connection) -> bool:
    """A standby, or a database that was set to take no writes."""
    row = connection.execute("SELECT current_setting('transaction_read_only')").fetchone()
    return row == ("on",)


def store_event(connection: sql.Connection, event: Event) -> Stored:
    """Stores the event for all its recipients, committed on return.

    Repeated or for an unknown title, it stores nothing.
    """
    statement = _STORE_FOR_ALL if event.kind == "new-manga" else _STORE_FOR_READERS
    parameters = {
        "event_id": event.event_id,
        "kind": event.kind,
        "type": event.datagram_type,
        "manga_id": event.manga_id,
        "title": event.title,
        "message": event.message,
        "data": Jsonb({"data": event.data, "changes": event.changes}),
    }
    row = connection.execute(statement, parameters, binary=True).fetchone()
    assert row is not None  # a SELECT without FROM has one row
    is_stored, is_known, created_at, xid, rows, _ = row
    if is_stored:
        return Stored(EventOutcome.STORED, created_at, xid, rows or b"")
    outcome = EventOutcome.REPEATED if is_known else EventOutcome.UNKNOWN_MANGA
    return Stored(outcome, created_at, xid, b"")


def take_free(connection: sql.Connection, ids: list[int]) -> tuple[list[int], list[int]]:
    """Locks the rows that nobody else has locked, in a transaction of the caller's.

    Returns:
        the ids that are locked now, and those of the rows that somebody else holds.
    """
    statement = "SELECT id FROM notifications WHERE id = ANY(%s::bigint[])"
    taken = connection.execute(statement + " FOR NO KEY UPDATE SKIP LOCKED", (ids,)).fetchall()
    free = {row[0] for row in taken}
    others = [id for id in ids if id not in free]
    held = connection.execute(statement, (others,)).fetchall()
    return sorted(free), sorted(row[0] for row in held)


def mark_acknowledged(connection: sql.Connection, ids: list[int]) -> None:
    connection.execute(
        "UPDATE notifications SET read = true, delivered_at = coalesce(delivered_at, now()) "
        "WHERE id = ANY(%s::bigint[]) AND (read IS NOT TRUE OR delivered_at IS NULL)",
        (ids,),
    )


def mark_read(connection: sql.Connection, ids: list[int]) -> int:
    """How many of them exist."""
    row = connection.execute(
        "WITH marked AS (UPDATE notifications SET read = true "
        "WHERE id = ANY(%(ids)s::bigint[]) AND read IS NOT TRUE) "
        "SELECT count(*) FROM notifications WHERE id = ANY(%(ids)s::bigint[])",
        {"ids": ids},
    ).fetchone()
    return int(row[0]) if row else 0


_LISTED = (
    "id",
    "type",
    "manga_id",
    "title",
    "message",
    "read",
    "created_at",
    "delivered_at",
    "event_id",
)
_LIST = (
    "SELECT id, type, manga_id, title, message, read IS TRUE, "
    f"{moment('created_at')}, {moment('delivered_at')}, event_id, {CONTENT} "
    "FROM notifications WHERE user_id = %(user)s "
    "AND (%(before)s::bigint IS NULL OR id < %(before)s) "
    "AND (NOT %(unread)s OR read IS NOT TRUE) ORDER BY id DESC LIMIT %(limit)s"
).encode()


def list_notifications(
    connection: sql.Connection, user_id: UUID, only_unread: bool, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """A page of a user's notifications, newest first."""
    rows = connection.execute(
        _LIST, {"user": user_id, "before": before, "unread": only_unread, "limit": limit}
    )
    return [_listed(*row) for row in rows]


def _listed(*row: Any) -> dict[str, Any]:
    *values, stored = row
    data, changes = read_content(stored)
    return {**dict(zip(_LISTED, values, strict=True)), "data": data, "changes": changes}
