"""Rows of `notification_events`: written with the news they speak of, delivered afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from batch.models import Event, JsonObject
from sql import Connection

CHANNEL = "mangahub_outbox"  # notified by each commit that wrote events
MAX_ERROR = 300  # characters kept of a reason


@dataclass(frozen=True, slots=True)
class Owed:
    """An event that the notification server has not accepted yet."""

    id: int
    type: str
    dedup_key: str
    payload: JsonObject
    attempts: int


@dataclass(frozen=True, slots=True)
class Postponed:
    """An attempt that failed, and how long to wait before the next."""

    id: int
    error: str
    delay: timedelta


@dataclass(frozen=True, slots=True)
class Backlog:
    """What the notification server has not accepted yet, and since when."""

    count: int
    oldest_at: datetime | None
    last_error: str | None


def add_events(connection: Connection, events: Sequence[Event]) -> int:
    """Writes events in their order, in the caller's transaction; returns how many were new."""
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
    """What is to be sent, in the order in which it was written.

    Args:
        after_id: 0, or the last id of the batch before.
        everything: also what is postponed. The database's clock decides what is due.
    """
    due = "" if everything else " AND next_attempt_at <= now()"
    rows = connection.execute(
        "SELECT id, type, dedup_key, payload, attempts FROM notification_events"
        f" WHERE accepted_at IS NULL AND id > %s{due} ORDER BY id LIMIT %s",
        [after_id, limit],
    ).fetchall()
    return [Owed(*row) for row in rows]


def mark_accepted(connection: Connection, ids: Sequence[int]) -> None:
    """The notification server has stored these: they are never sent again."""
    connection.execute(
        "UPDATE notification_events SET accepted_at = now(), attempts = attempts + 1,"
        " last_error = NULL WHERE id = ANY(%s) AND accepted_at IS NULL",
        [list(ids)],
    )


def postpone(connection: Connection, postponed: Sequence[Postponed]) -> None:
    """Keeps why an attempt failed, and sets the next; a delivery meanwhile stays as it is."""
    connection.execute(
        "UPDATE notification_events AS e SET attempts = e.attempts + 1, last_error = p.error,"
        " next_attempt_at = now() + p.delay"
        " FROM unnest(%s::bigint[], %s::text[], %s::interval[]) AS p (id, error, delay)"
        " WHERE e.id = p.id AND e.accepted_at IS NULL",
        [
            [row.id for row in postponed],
            [row.error[:MAX_ERROR].replace("\0", "") for row in postponed],
            [row.delay for row in postponed],
        ],
    )


def count_owed(connection: Connection) -> int:
    """How many events the notification server has not accepted yet."""
    row = connection.execute(
        "SELECT count(*) FROM notification_events WHERE accepted_at IS NULL"
    ).fetchone()
    return int(row[0]) if row else 0


def read_backlog(connection: Connection) -> Backlog:
    """How many events are owed, when the oldest was written, and why it was not accepted."""
    row = connection.execute(
        "SELECT count(*), min(created_at), (array_agg(last_error ORDER BY id))[1]"
        " FROM notification_events WHERE accepted_at IS NULL"
    ).fetchone()
    return Backlog(*row) if row else Backlog(0, None, None)
