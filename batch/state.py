"""Rows of `sync_state`: what ran when, how far it came, and what could not be stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from batch.models import Rejected
from sql import Connection

MAX_REASON = 300  # characters kept of a reason


@dataclass(frozen=True, slots=True)
class SyncState:
    """One workflow's row.

    Attributes:
        metadata: free facts; `rejected` maps an id to why it could not be stored.
    """

    sync_type: str
    last_run_at: datetime | None
    last_success_at: datetime | None
    last_cursor: str | None
    status: str
    error_message: str | None
    metadata: dict[str, object]


_COLUMNS = (
    "sync_type, last_run_at, last_success_at, last_cursor, status, error_message,"
    " coalesce(metadata, '{}')"
)


def read(connection: Connection, sync_type: str) -> SyncState:
    """The workflow's row; one as new where there is none yet."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM sync_state WHERE sync_type = %s", [sync_type]
    ).fetchone()
    return SyncState(*row) if row else SyncState(sync_type, None, None, None, "idle", None, {})


def read_all(connection: Connection) -> list[SyncState]:
    rows = connection.execute(f"SELECT {_COLUMNS} FROM sync_state ORDER BY id").fetchall()
    return [SyncState(*row) for row in rows]


def begin(connection: Connection, sync_type: str, now: datetime) -> None:
    """Marks the workflow as running."""
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
    """Records how a run ended: `completed`, `error`, or `idle` where it was stopped."""
    connection.execute(
        "UPDATE sync_state SET status = %(status)s, error_message = %(error)s,"
        " metadata = coalesce(metadata, '{}') || %(metadata)s, last_success_at = CASE"
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
    """Sets the cursor and merges facts into the metadata, in the caller's transaction."""
    connection.execute(
        "UPDATE sync_state SET last_cursor = %s, metadata = coalesce(metadata, '{}') || %s"
        " WHERE sync_type = %s",
        [cursor, Jsonb(metadata), sync_type],
    )


def record_rejected(
    connection: Connection, sync_type: str, rejected: Sequence[Rejected], now: datetime
) -> None:
    """Remembers what could not be stored and why; the next run of the workflow tries it again."""
    if not rejected:
        return
    known = _lock_rejected(connection, sync_type)
    for item in rejected:
        before = known.get(item.mangadex_id, {})
        known[item.mangadex_id] = {
            "reason": item.reason[:MAX_REASON],
            "first_at": before.get("first_at", now.isoformat()),
            "last_at": now.isoformat(),
            "attempts": int(str(before.get("attempts", 0))) + 1,
        }
    _write_rejected(connection, sync_type, known)


def clear_rejected(connection: Connection, sync_type: str, mangadex_ids: Iterable[str]) -> None:
    """Forgets what has been stored after all."""
    stored = set(mangadex_ids)
    known = _lock_rejected(connection, sync_type)
    kept = {key: value for key, value in known.items() if key not in stored}
    if len(kept) < len(known):
        _write_rejected(connection, sync_type, kept)


def rejected_ids(connection: Connection, sync_type: str) -> list[str]:
    """The ids, or descriptions of entities without one, that the workflow could not store."""
    return list(_rejected(read(connection, sync_type).metadata))


def _rejected(metadata: dict[str, object]) -> dict[str, dict[str, object]]:
    found = metadata.get("rejected")
    return dict(found) if isinstance(found, dict) else {}


def _lock_rejected(connection: Connection, sync_type: str) -> dict[str, dict[str, object]]:
    """Read for change: workers of one run write to the same row."""
    row = connection.execute(
        "SELECT coalesce(metadata, '{}') FROM sync_state WHERE sync_type = %s FOR UPDATE",
        [sync_type],
    ).fetchone()
    return _rejected(row[0]) if row else {}


def _write_rejected(
    connection: Connection, sync_type: str, rejected: dict[str, dict[str, object]]
) -> None:
    connection.execute(
        "UPDATE sync_state SET metadata = coalesce(metadata, '{}') || %s WHERE sync_type = %s",
        [Jsonb({"rejected": rejected}), sync_type],
    )
