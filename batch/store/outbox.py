"""Rows of `notification_events`: written with the rows they are about, delivered afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from psycopg.types.json import Jsonb

from batch.models import JsonObject, OutboxEvent
from sql import Connection
from sql.state.backlog import OWED, REJECTED

CHANNEL = "mangahub_outbox"  # notified by each commit that wrote events
MAX_ERROR = 300  # characters kept of a reason


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
    again = f"OR {everything} AND {REJECTED} AND next_attempt_at <= now()"
    rows = connection.execute(
        f"WITH due AS (SELECT manga_id, max(id) AS last_due FROM notification_events"
        f"  WHERE {OWED} AND next_attempt_at <= now() GROUP BY manga_id)"
        " SELECT id, type, manga_id, dedup_key, payload, attempts"
        " FROM notification_events LEFT JOIN due USING (manga_id)"
        f" WHERE id > %s AND ({OWED} AND ({due}) {again}) ORDER BY id LIMIT %s",
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
