"""Storing events as one notification per recipient, and listing a reader's notifications: SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any
from uuid import UUID

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

import sql
from notify_server.events.kinds import Audience, Event
from notify_server.store.recipients import PORTION_ROWS, find_portion
from notify_server.store.unfinished import Unfinished
from readers import unread
from readers.datagram import Content
from readers.foreign_rows import DATA, read_data
from readers.portions import PORTION, TELL
from readers.recipients import BEHIND, PACKED, Recipients, Share

# One statement, and so one transaction and one round trip. The message to other servers is part of
# the transaction: they are notified of what is committed.
_STORE = """
WITH receipt AS ({receipt}
), stored AS (
    INSERT INTO notifications
        (user_id, type, manga_id, title, message, data, event_id, read, created_at)
    SELECT recipient.id, %(type)s, %(manga_id)s, %(title)s, %(message)s,
           CASE WHEN behind IS NULL THEN %(data)s::jsonb
                ELSE jsonb_set(%(data)s::jsonb, '{{data,behind}}', to_jsonb(behind)) END,
           %(event_id)s, false, now()
    FROM receipt, ({recipients}) AS recipient WHERE {is_turn}
    RETURNING id, user_id, event_id, {behind} AS behind
), more AS (
    SELECT event_id, (SELECT user_id FROM stored ORDER BY user_id DESC LIMIT 1) AS after
    FROM receipt WHERE NOT {is_turn} OR (SELECT count(*) FROM stored) = {most}
), portions AS ({portion}
), {remember}, shares AS (
    SELECT array_agg(behind) AS behind, array_agg(packed) AS packed
    FROM (SELECT behind::integer, {packed} AS packed FROM stored GROUP BY behind) AS share
)
SELECT EXISTS (SELECT FROM receipt),
       EXISTS (SELECT FROM manga WHERE id = %(manga_id)s)
           OR EXISTS (SELECT FROM notification_receipts WHERE event_id = %(event_id)s),
       now(),
       pg_current_xact_id()::text::bigint,
       EXISTS (SELECT FROM more),
       shares.behind,
       shares.packed,
       (SELECT {tell}
        FROM (SELECT event_id, (SELECT id FROM portions) AS portion FROM receipt) AS told)
FROM shares
"""
_FIRST = {
    "receipt": """
    INSERT INTO notification_receipts (event_id, type, manga_id, title, message, data)
    SELECT %(event_id)s, %(kind)s, id, %(title)s, %(message)s, %(data)s
    FROM manga WHERE id = %(manga_id)s
    ON CONFLICT DO NOTHING
    RETURNING event_id""",
    # Readers of a title hear of its events in order: behind an unfinished one this waits.
    "is_turn": """(%(audience)s = 'users' OR NOT EXISTS (SELECT FROM unfinished_events
        WHERE manga_id = %(manga_id)s AND audience = %(audience)s))""",
    "remember": """begun AS (
    INSERT INTO unfinished_events (event_id, manga_id, audience, traits, after)
    SELECT event_id, %(manga_id)s, %(audience)s, %(traits)s, after FROM more
)""",
}
# Whoever has the row of the event, as it was found, stores the next portion.
_NEXT = {
    "receipt": """
    SELECT event_id FROM unfinished_events
    WHERE event_id = %(event_id)s AND after IS NOT DISTINCT FROM %(after)s
    FOR UPDATE SKIP LOCKED""",
    "is_turn": "true",
    "remember": """continued AS (
    UPDATE unfinished_events AS u SET after = more.after, touched_at = now()
    FROM more WHERE u.event_id = more.event_id
), ended AS (
    DELETE FROM unfinished_events WHERE event_id = (SELECT event_id FROM receipt)
    AND NOT EXISTS (SELECT FROM more)
)""",
}


@cache
def _statement(audience: Audience, is_first: bool, has_after: bool) -> bytes:
    return _STORE.format(
        recipients=find_portion(audience, has_after),
        behind=BEHIND,
        packed=PACKED,
        portion=PORTION,
        tell=TELL,
        most=PORTION_ROWS,
        **(_FIRST if is_first else _NEXT),
    ).encode()


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
    "unfinished_events": "SELECT INSERT UPDATE DELETE",
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
    """The result of storing an event, or a portion of it.

    Attributes:
        xid: the transaction that stored it.
        is_unfinished: whether more recipients may follow.
    """

    outcome: EventOutcome
    created_at: datetime
    xid: int
    is_unfinished: bool
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
    """Store the event and the rows of its first recipients, committed on return.

    An event that is repeated, or is about an unknown title, stores nothing.
    """
    query = _statement(event.kind.audience, is_first=True, has_after=False)
    return _store(connection, query, _values(event))


def store_next(connection: sql.Connection, unfinished: Unfinished) -> StoreResult:
    """Store the rows of the next recipients, committed on return; none if somebody else has."""
    event, after = unfinished.event, unfinished.after
    query = _statement(event.kind.audience, is_first=False, has_after=after is not None)
    more = {"after": after, "received_at": unfinished.received_at}
    return _store(connection, query, _values(event) | more)


def _values(event: Event) -> dict[str, Any]:
    chapter = event.data.get("chapter")
    return {
        "event_id": event.event_id,
        "kind": event.kind.name,
        "audience": event.kind.audience,
        "type": event.kind.datagram_type,
        "manga_id": event.manga_id,
        "title": event.title,
        "message": event.message,
        "data": Jsonb({"data": event.data, "changes": event.changes}),
        # As `user_progress` counts.
        "chapter": int(chapter) if isinstance(chapter, int | float) else None,
        "traits": Jsonb(event.traits._asdict()),
        "language": event.traits.language,
        "uploads": Jsonb(event.traits.uploads),
        "genres": [genre.lower() for genre in event.traits.genres],
    }


def _store(connection: sql.Connection, query: bytes, values: dict[str, Any]) -> StoreResult:
    row = connection.execute(query, values, binary=True).fetchone()
    assert row is not None  # an aggregate without GROUP BY has one row
    is_stored, is_known, created_at, xid, is_unfinished, behind, packed, _ = row
    outcome = EventOutcome.REPEATED if is_known else EventOutcome.UNKNOWN_MANGA
    outcome = EventOutcome.STORED if is_stored else outcome
    shares = zip(behind or (), map(Recipients, packed or ()), strict=True)
    parts = tuple(Share(*share) for share in shares)
    return StoreResult(outcome, created_at, xid, is_unfinished, parts)


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
