"""Storing events as one notification per recipient, and listing a reader's notifications: SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

import sql
from notify_server.events.kinds import Event
from notify_server.store.recipients import FINDERS
from readers import unread
from readers.datagram import Content, Json
from readers.foreign_rows import DATA, read_data
from readers.portions import PORTION, TELL
from readers.recipients import BEHIND, PACKED, Recipients, Share

# One statement, and so one transaction and one round trip. The message to other servers is part of
# the transaction: they are notified of what is committed.
_STORE = """
WITH receipt AS (
    INSERT INTO notification_receipts (event_id, type, manga_id, title, message, data)
    SELECT %(event_id)s, %(kind)s, id, %(title)s, %(message)s, %(data)s
    FROM manga WHERE id = %(manga_id)s
    ON CONFLICT DO NOTHING
    RETURNING event_id
), stored AS (
    INSERT INTO notifications
        (user_id, type, manga_id, title, message, data, event_id, read, created_at)
    SELECT recipient.id, %(type)s, %(manga_id)s, %(title)s, %(message)s,
           CASE WHEN behind IS NULL THEN %(data)s::jsonb
                ELSE jsonb_set(%(data)s::jsonb, '{{data,behind}}', to_jsonb(behind)) END,
           %(event_id)s, false, now()
    FROM receipt, (SELECT {recipients}) AS recipient
    RETURNING id, user_id, event_id, {behind} AS behind
), portions AS ({portion}
), shares AS (
    SELECT array_agg(behind) AS behind, array_agg(packed) AS packed
    FROM (SELECT behind::integer, {packed} AS packed FROM stored GROUP BY behind) AS share
)
SELECT EXISTS (SELECT FROM receipt),
       EXISTS (SELECT FROM manga WHERE id = %(manga_id)s)
           OR EXISTS (SELECT FROM notification_receipts WHERE event_id = %(event_id)s),
       now(),
       pg_current_xact_id()::text::bigint,
       shares.behind,
       shares.packed,
       (SELECT {tell}
        FROM (SELECT event_id, (SELECT id FROM portions) AS portion FROM receipt) AS told)
FROM shares
"""
_STORE_FOR = {
    audience: _STORE.format(
        recipients=finder, packed=PACKED, behind=BEHIND, portion=PORTION, tell=TELL
    ).encode()
    for audience, finder in FINDERS.items()
}

# What this server does with each table.
_RIGHTS = {
    "users": "SELECT",
    "user_library": "SELECT",
    "reader_preferences": "SELECT",
    "library_settings": "SELECT",
    "user_progress": "SELECT",
    "manga": "SELECT",
    "mangahub_meta": "SELECT",
    "notify_keys": "SELECT",
    "notifications": "SELECT INSERT UPDATE",
    "notification_receipts": "SELECT INSERT",
    "notification_portions": "SELECT INSERT",
    "reader_marks": "SELECT INSERT UPDATE",
}
_TRY = (
    "INSERT INTO notifications (message, read)"
    " SELECT repeat('x', 1000), true FROM generate_series(1, 100)"
)


class EventOutcome(Enum):
    """What became of an event."""

    STORED = "stored"
    REPEATED = "repeated"
    UNKNOWN_MANGA = "unknown manga"


@dataclass(frozen=True, slots=True)
class StoreResult:
    """The result of storing an event.

    Attributes:
        xid: the transaction that stored it.
    """

    outcome: EventOutcome
    created_at: datetime
    xid: int
    shares: tuple[Share, ...]

    @property
    def recipients(self) -> int:
        """How many readers have a notification of it."""
        return sum(len(share.recipients) for share in self.shares)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event whose rows are committed, stored by this server or another one.

    Attributes:
        xid: the transaction that stored the rows.
        received: monotonic time of the POST, None if it did not arrive at this server.
    """

    content: Content
    xid: int
    recipients: Recipients
    received: float | None = None


def require_writable(connection: sql.Connection, has_failed: bool) -> None:
    """Return if events can be stored.

    Args:
        has_failed: whether the last one could not: then what is stored for some readers is tried,
            and undone. Whether a disk is full can be found out in no other way.

    Raises:
        DatabaseUnwritable: they cannot.
    """
    sql.require_writable(connection, _RIGHTS)
    if has_failed:
        with sql.translated(), connection.transaction(force_rollback=True):
            connection.execute(_TRY)


def store_event(connection: sql.Connection, event: Event) -> StoreResult:
    """Store the event for all its recipients, committed on return.

    An event that is repeated, or is about an unknown title, stores nothing.
    """
    parameters = {
        "event_id": event.event_id,
        "kind": event.kind.name,
        "type": event.kind.datagram_type,
        "manga_id": event.manga_id,
        "title": event.title,
        "message": event.message,
        "data": Jsonb({"data": event.data, "changes": event.changes}),
        "chapter": _whole(event.data.get("chapter")),
        "language": event.traits.language,
        "uploads": Jsonb(event.traits.uploads),
        "genres": [genre.lower() for genre in event.traits.genres],
    }
    row = connection.execute(_STORE_FOR[event.kind.audience], parameters, binary=True).fetchone()
    assert row is not None  # an aggregate without GROUP BY has one row
    is_stored, is_known, created_at, xid, behind, packed, _ = row
    outcome = EventOutcome.REPEATED if is_known else EventOutcome.UNKNOWN_MANGA
    outcome = EventOutcome.STORED if is_stored else outcome
    shares = zip(behind or (), map(Recipients, packed or ()), strict=True)
    return StoreResult(outcome, created_at, xid, tuple(Share(*share) for share in shares))


def _whole(chapter: Json) -> int | None:
    """Return a chapter's number as `user_progress` counts; None for one without a number."""
    return int(chapter) if isinstance(chapter, int | float) else None


_LIST = (
    f"SELECT id, type, manga_id, title, message, read IS TRUE AS read, event_id, {DATA} AS data, "
    "created_at, delivered_at "
    "FROM notifications WHERE user_id = %(user)s "
    "AND (%(before)s::bigint IS NULL OR id < %(before)s) "
    f"AND (NOT %(unread)s OR read IS NOT TRUE AND id > {unread.read_up_to('%(user)s')}) "
    "ORDER BY id DESC LIMIT %(limit)s"
).encode()


def list_notifications(
    connection: sql.Connection, user_id: UUID, only_unread: bool, before: int | None, limit: int
) -> list[dict[str, Any]]:
    """Return a page of a user's notifications, newest first."""
    parameters = {"user": user_id, "before": before, "unread": only_unread, "limit": limit}
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(_LIST, parameters).fetchall()
    for row in rows:
        row["data"], row["changes"] = read_data(row["data"])
    return rows
