"""Rows of `sync_state`: when each workflow ran, its cursor, and other facts that it keeps."""

from __future__ import annotations

from datetime import datetime

from psycopg.types.json import Jsonb

from sql import Connection
from sql.state.workflows import METADATA, SELECT, SyncState


def read(connection: Connection, sync_type: str) -> SyncState:
    """Return the workflow's row; where there is none, that of one that never ran."""
    return _read_one(connection, sync_type, "")


def lock(connection: Connection, sync_type: str) -> SyncState:
    """Read and lock the row: workers of one run write to the same row."""
    return _read_one(connection, sync_type, " FOR UPDATE")


def _read_one(connection: Connection, sync_type: str, locking: str) -> SyncState:
    query = f"{SELECT} WHERE sync_type = %s{locking}"
    row = connection.execute(query.encode(), [sync_type]).fetchone()
    return SyncState(*row) if row else SyncState(sync_type, None, None, None, "idle", None, {})


def begin(connection: Connection, sync_type: str, now: datetime) -> None:
    """Mark the workflow as running."""
    connection.execute(
        "INSERT INTO sync_state (sync_type, status, last_run_at, metadata)"
        " VALUES (%s, 'running', %s, '{}')"
        " ON CONFLICT (sync_type) DO UPDATE SET status = 'running',"
        " last_run_at = excluded.last_run_at, error_message = NULL",
        [sync_type, now],
    )


def finish(
    connection: Connection, sync_type: str, status: str, error: str | None, **metadata: object
) -> None:
    """Record how a run ended: `completed`, `error`, or `idle` where it was stopped."""
    connection.execute(
        "UPDATE sync_state SET status = %(status)s, error_message = %(error)s,"
        f" metadata = {METADATA} || %(metadata)s, last_success_at = CASE"
        " WHEN %(status)s = 'completed' THEN now() ELSE last_success_at END"
        " WHERE sync_type = %(sync_type)s",
        {
            "sync_type": sync_type,
            "status": status,
            "error": error,
            "metadata": Jsonb(metadata),
        },
    )


def move_cursor(
    connection: Connection, sync_type: str, cursor: str | None, **metadata: object
) -> None:
    """Set the cursor and merge facts into the metadata, in the caller's transaction."""
    connection.execute(
        f"UPDATE sync_state SET last_cursor = %s, metadata = {METADATA} || %s WHERE sync_type = %s",
        [cursor, Jsonb(metadata), sync_type],
    )


def note(connection: Connection, sync_type: str, **metadata: object) -> None:
    """Merge facts into the metadata."""
    connection.execute(
        f"UPDATE sync_state SET metadata = {METADATA} || %s WHERE sync_type = %s",
        [Jsonb(metadata), sync_type],
    )


def note_once(connection: Connection, sync_type: str, name: str, value: str) -> None:
    """Add a fact to the metadata, unless it is there."""
    connection.execute(
        f"UPDATE sync_state SET metadata = {METADATA} || jsonb_build_object(%(name)s::text,"
        " %(value)s::text) WHERE sync_type = %(sync_type)s"
        f" AND NOT {METADATA} ? %(name)s",
        {"sync_type": sync_type, "name": name, "value": value},
    )


def read_adopted_at(connection: Connection) -> datetime | None:
    """Return when another program's tables were adopted; None if there were none."""
    row = connection.execute(
        "SELECT (value ->> 'adopted_at')::timestamptz FROM mangahub_meta WHERE key = 'adoption'"
    ).fetchone()
    return row[0] if row else None
