"""Rows of `sync_state`: what ran when, how far it came, and what could not be stored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from batch.errors import BatchError
from batch.models import Rejected
from sql import Connection

MAX_REASON = 300  # characters kept of a reason
MAX_REJECTED = 2_000
PATIENT_FROM = 3  # attempts; before that each run tries again
FIRST_GAP = timedelta(hours=1)  # doubled by each further attempt
LONGEST_GAP = timedelta(days=7)


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


# The metadata; an empty object where another program left none, or something else.
_FACTS = "CASE WHEN jsonb_typeof(metadata) = 'object' THEN metadata ELSE '{}' END"
_COLUMNS = f"sync_type, last_run_at, last_success_at, last_cursor, status, error_message, {_FACTS}"


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
        f" metadata = {_FACTS} || %(metadata)s, last_success_at = CASE"
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
        f"UPDATE sync_state SET last_cursor = %s, metadata = {_FACTS} || %s WHERE sync_type = %s",
        [cursor, Jsonb(metadata), sync_type],
    )


def note(connection: Connection, sync_type: str, **metadata: object) -> None:
    """Merges facts into the metadata."""
    connection.execute(
        f"UPDATE sync_state SET metadata = {_FACTS} || %s WHERE sync_type = %s",
        [Jsonb(metadata), sync_type],
    )


def record_rejected(
    connection: Connection, sync_type: str, rejected: Sequence[Rejected], now: datetime
) -> None:
    """Remembers what could not be stored and why; later runs of the workflow try it again.

    Raises:
        BatchError: there are so many that it is no matter of single entities any more.
    """
    if not rejected:
        return
    with connection.transaction():
        known = _lock_rejected(connection, sync_type)
        for item in rejected:
            known[item.mangadex_id] = _tried_again(known.get(item.mangadex_id, {}), item, now)
        if len(known) > MAX_REJECTED:
            raise BatchError(
                f"{sync_type}: more than {MAX_REJECTED:,} entities cannot be stored; the source's"
                f" answers may have changed; the last one: {rejected[-1].reason[:MAX_REASON]}"
            )
        _write_rejected(connection, sync_type, known)


def clear_rejected(connection: Connection, sync_type: str, mangadex_ids: Iterable[str]) -> None:
    """Forgets what has been stored after all."""
    stored = set(mangadex_ids)
    with connection.transaction():
        known = _lock_rejected(connection, sync_type)
        kept = {key: value for key, value in known.items() if key not in stored}
        if len(kept) < len(known):
            _write_rejected(connection, sync_type, kept)


def due_rejected(connection: Connection, sync_type: str, now: datetime) -> list[str]:
    """What is to be tried again now: at the next runs first, then less and less often, for ever."""
    known = rejected_in(read(connection, sync_type).metadata)
    return [key for key, why in known.items() if _is_due(why, now)]


def _is_due(why: dict[str, object], now: datetime) -> bool:
    attempts = why.get("attempts")
    if not isinstance(attempts, int) or attempts < PATIENT_FROM:
        return True
    try:
        last_at = datetime.fromisoformat(str(why.get("last_at")))
    except ValueError:
        return True
    gap = FIRST_GAP * (1 << min(attempts - PATIENT_FROM, 16))
    return now >= last_at + min(gap, LONGEST_GAP)


def rejected_ids(connection: Connection, sync_type: str) -> list[str]:
    """The ids, or descriptions of entities without one, that the workflow could not store."""
    return list(rejected_in(read(connection, sync_type).metadata))


def rejected_in(metadata: dict[str, object]) -> dict[str, dict[str, object]]:
    """What a workflow's metadata tells of entities that could not be stored."""
    found = metadata.get("rejected")
    items = found.items() if isinstance(found, dict) else ()
    return {key: why for key, why in items if isinstance(why, dict)}


def _tried_again(before: dict[str, object], item: Rejected, now: datetime) -> dict[str, object]:
    attempts = before.get("attempts")
    return {
        "reason": item.reason[:MAX_REASON],
        "first_at": before.get("first_at", now.isoformat()),
        "last_at": now.isoformat(),
        "attempts": attempts + 1 if isinstance(attempts, int) else 1,
    }


def _lock_rejected(connection: Connection, sync_type: str) -> dict[str, dict[str, object]]:
    """Read for change: workers of one run write to the same row."""
    row = connection.execute(
        f"SELECT {_FACTS} FROM sync_state WHERE sync_type = %s FOR UPDATE",
        [sync_type],
    ).fetchone()
    return rejected_in(row[0]) if row else {}


def _write_rejected(
    connection: Connection, sync_type: str, rejected: dict[str, dict[str, object]]
) -> None:
    note(connection, sync_type, rejected=rejected)
