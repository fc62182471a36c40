"""Rows of `notification_events`: written with the rows they are about, delivered afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from batch.models import JsonObject, OutboxEvent
from sql import Connection

CHANNEL = "mangahub_outbox"  # notified by each commit that wrote events
MAX_ERROR = 300  # characters kept of a reason


# An event is owed until the server has accepted it, or has rejected it for good.
_OWED = "accepted_at IS NULL AND rejected_at IS NULL"
_REJECTED = "accepted_at IS NULL AND rejected_at IS NOT NULL"
RETRY_REJECTED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Owed:
    """An event that is to be sent."""

    id: int
    type: str
    manga_id: int | None
    dedup_key: str
    payload: JsonObject
    attempts: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt to deliver an event that has failed.

    Attributes:
        delay: how long to wait before the next.
        is_final: whether the server will never accept the event.
    """

    id: int
    error: str
    delay: timedelta
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """An event that the notification server rejected for good."""

    event_id: str
    type: str
    title: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """The events that the notification server has not accepted yet."""

    count: int
    oldest_at: datetime | None
    last_error: str | None
    rejected: int = 0


def add_events(connection: Connection, events: Sequence[OutboxEvent]) -> int:
    """Write events in their order, in the caller's transaction; return how many were new."""
    if not events:
        return 0
    cursor = connection.execute(
        "INSERT INTO notification_events (type, manga_id, dedup_key, payload)"
        " SELECT type, manga_id, dedup_key, payload FROM unnest("
        "  %s::text[], %s::bigint[], %s::text[], %s::jsonb[])"
        "  WITH ORDINALITY AS e (type, manga_id, dedup_key, payload, place)"
        " ORDER BY place ON CONFLICT (dedup_key) DO NOTHING",
        [
            [event.type for event in events],
            [event.manga_id for event in events],
            [event.dedup_key for event in events],
            [Jsonb(event.payload) for event in events],
        ],
    )
    connection.execute(f"NOTIFY {CHANNEL}")
    return cursor.rowcount


def read_owed(connection: Connection, after_id: int, limit: int, *, everything: bool) -> list[Owed]:
    """Return what is to be sent, in the order in which it was written.

    With an event that is due, earlier ones of its title are returned too: the order is kept, and
    they need not wait for an attempt of their own.

    Args:
        after_id: 0, or the last id of the batch before.
        everything: also what is postponed, and what was rejected a day ago. The database's clock
            decides what is due.
    """
    due = f"id <= last_due OR {everything} OR next_attempt_at <= now()"
    again = f"OR {everything} AND {_REJECTED} AND next_attempt_at <= now()"
    rows = connection.execute(
        f"WITH due AS (SELECT manga_id, max(id) AS last_due FROM notification_events"
        f"  WHERE {_OWED} AND next_attempt_at <= now() GROUP BY manga_id)"
        " SELECT id, type, manga_id, dedup_key, payload, attempts"
        " FROM notification_events LEFT JOIN due USING (manga_id)"
        f" WHERE id > %s AND ({_OWED} AND ({due}) {again}) ORDER BY id LIMIT %s",
        [after_id, limit],
    ).fetchall()
    return [Owed(*row) for row in rows]


def mark_accepted(connection: Connection, ids: Sequence[int]) -> None:
    """Record that the notification server has stored these: they are never sent again."""
    connection.execute(
        "UPDATE notification_events SET accepted_at = now(), attempts = attempts + 1,"
        " last_error = NULL WHERE id = ANY(%s) AND accepted_at IS NULL",
        [list(ids)],
    )


def note_failures(connection: Connection, failed: Sequence[Attempt]) -> None:
    """Record why attempts failed, and set the next; events delivered meanwhile stay as they are."""
    connection.execute(
        "UPDATE notification_events AS e SET attempts = e.attempts + 1, last_error = f.error,"
        " next_attempt_at = now() + f.delay,"
        " rejected_at = CASE WHEN f.is_final THEN coalesce(e.rejected_at, now()) END"
        " FROM unnest(%s::bigint[], %s::text[], %s::interval[], %s::boolean[])"
        "  AS f (id, error, delay, is_final)"
        " WHERE e.id = f.id AND e.accepted_at IS NULL",
        [
            [row.id for row in failed],
            [row.error[:MAX_ERROR].replace("\0", "") for row in failed],
            [RETRY_REJECTED if row.is_final else row.delay for row in failed],
            [row.is_final for row in failed],
        ],
    )


def read_backlog(connection: Connection) -> Backlog:
    """Return how many events are owed, since when and why, and how many were rejected."""
    row = connection.execute(
        f"SELECT count(*) FILTER (WHERE {_OWED}), min(created_at) FILTER (WHERE {_OWED}),"
        f" (array_agg(last_error ORDER BY id) FILTER (WHERE {_OWED}))[1],"
        f" count(*) FILTER (WHERE {_REJECTED})"
        " FROM notification_events WHERE accepted_at IS NULL"
    ).fetchone()
    return Backlog(*row) if row else Backlog(0, None, None, 0)


def read_rejected(connection: Connection, limit: int) -> list[RejectedEvent]:
    """Return the newest events that were rejected for good."""
    rows = connection.execute(
        "SELECT dedup_key, type, payload ->> 'title', last_error FROM notification_events"
        f" WHERE {_REJECTED} ORDER BY id DESC LIMIT %s",
        [limit],
    ).fetchall()
    return [RejectedEvent(*row) for row in rows]
