"""The workflows: their rows of `sync_state`, whether they run now, and whether they are late."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sql.connection import Connection

FOUNDED = datetime(2018, 1, 1, tzinfo=UTC)  # of the source: earlier dates tell nothing of it
_DAY = timedelta(days=1)
# How far apart a workflow's good runs are by the timers; the others come every few minutes.
CADENCE = {"new_manga_poll": _DAY, "chapter_check": _DAY, "metadata_refresh": _DAY}
_ON_DEMAND = "initial_sync"
_NAMESPACE = 0x6D68  # the first of the two numbers that make an advisory lock's key


@dataclass(frozen=True, slots=True)
class SyncState:
    """One workflow's row.

    Attributes:
        metadata: further facts, by name.
    """

    sync_type: str
    last_run_at: datetime | None
    last_success_at: datetime | None
    last_cursor: str | None
    status: str
    error_message: str | None
    metadata: dict[str, object]

    @property
    def rejected(self) -> dict[str, dict[str, object]]:
        """Items that could not be stored: by id, or a description of an item without one."""
        found = self.metadata.get("rejected")
        items = found.items() if isinstance(found, dict) else ()
        return {key: why for key, why in items if isinstance(why, dict)}


# The metadata; an empty object where another program left none, or something else.
METADATA = "CASE WHEN jsonb_typeof(metadata) = 'object' THEN metadata ELSE '{}' END"
SELECT = (
    "SELECT sync_type, last_run_at, last_success_at, last_cursor, status, error_message,"
    f" {METADATA} FROM sync_state"
)


def read_all(connection: Connection) -> list[SyncState]:
    """Return the rows of all workflows."""
    rows = connection.execute(f"{SELECT} ORDER BY id").fetchall()
    return [SyncState(*row) for row in rows]


def lock_key(sync_type: str) -> tuple[int, int]:
    """Return the two numbers of the advisory lock that a run of the workflow holds."""
    return _NAMESPACE, zlib.crc32(sync_type.encode()) - 2**31


def is_running(connection: Connection, sync_type: str) -> bool:
    """Return whether some session holds the workflow's lock now."""
    namespace, key = lock_key(sync_type)
    row = connection.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND classid = %s AND objid = %s AND objsubid = 2"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [namespace, key % 2**32],
    ).fetchone()
    return bool(row and row[0])


def read_status(connection: Connection, row: SyncState) -> str:
    """Return the status; `killed` where the row says running and nobody holds the lock."""
    if row.status == "running" and not is_running(connection, row.sync_type):
        return "killed"
    return row.status


def find_delay(row: SyncState, patience: timedelta, now: datetime) -> str | None:
    """Return why a workflow counts as late, or None. Pure.

    A workflow that never ran is not late: an operator may not want it.
    """
    name = command_name(row.sync_type)
    failed = f" ({' '.join(row.error_message.split())})" if row.error_message else ""
    if row.last_success_at is None:
        return f"{name} has never succeeded{failed}" if failed else None
    if row.sync_type == _ON_DEMAND:
        return None
    late = now - row.last_success_at - CADENCE.get(row.sync_type, timedelta(0))
    if late <= patience:
        return None
    return f"{name} has not succeeded since {row.last_success_at:%Y-%m-%d %H:%M} UTC{failed}"


def read_cursor(text: object) -> datetime | None:
    """Return the moment of a cursor, also of another program's format; None for other text."""
    try:
        moment = datetime.fromisoformat(text.strip()) if isinstance(text, str) else None
    except ValueError:
        return None
    if moment is None:
        return None
    try:
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        return None
    return moment if moment >= FOUNDED else None


def command_name(sync_type: str) -> str:
    """Return a workflow's name as it is typed, and as its unit is called."""
    return sync_type.replace("_", "-")
