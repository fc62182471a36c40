"""The outbox: which events are owed, and which were rejected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sql.connection import Connection

# An event is owed until the server has accepted it, or has rejected it for good.
OWED = "accepted_at IS NULL AND rejected_at IS NULL"
REJECTED = "accepted_at IS NULL AND rejected_at IS NOT NULL"


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


def read_backlog(connection: Connection) -> Backlog:
    """Return how many events are owed, since when and why, and how many were rejected."""
    row = connection.execute(
        f"SELECT count(*) FILTER (WHERE {OWED}), min(created_at) FILTER (WHERE {OWED}),"
        f" (array_agg(last_error ORDER BY id) FILTER (WHERE {OWED}))[1],"
        f" count(*) FILTER (WHERE {REJECTED})"
        " FROM notification_events WHERE accepted_at IS NULL"
    ).fetchone()
    return Backlog(*row) if row else Backlog(0, None, None, 0)


def read_rejected(connection: Connection, limit: int) -> list[RejectedEvent]:
    """Return the newest events that were rejected for good."""
    rows = connection.execute(
        "SELECT dedup_key, type, payload ->> 'title', last_error FROM notification_events"
        f" WHERE {REJECTED} ORDER BY id DESC LIMIT %s",
        [limit],
    ).fetchall()
    return [RejectedEvent(*row) for row in rows]
