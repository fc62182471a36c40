"""What `status` tells: each workflow's last run, cursor and failures, and what the tables hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from batch.limits import circuit
from batch.limits.circuit import Health
from batch.store.locks import is_running
from batch.store.outbox import count_owed
from batch.store.sync_state import SyncState, read_all, rejected_in
from sql import Connection

MAX_LISTED = 20  # failures of a workflow; --json has all of them
_TABLES = ("manga", "chapters", "genres", "users", "user_library", "notifications")


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow; `status` is `killed` where the row says running and nobody holds its lock."""

    state: SyncState
    status: str


@dataclass(frozen=True, slots=True)
class Status:
    """Everything `status` shows."""

    workflows: list[Workflow]
    source: Health
    counts: dict[str, int]
    events_owed: int
    now: datetime


def read_status(connection: Connection) -> Status:
    """Reads it all; on big tables the counts are the planner's estimates."""
    workflows = [Workflow(row, _true_status(connection, row)) for row in read_all(connection)]
    counts = {table: _count(connection, table) for table in _TABLES}
    health = circuit.read(connection)
    return Status(workflows, health, counts, count_owed(connection), datetime.now(UTC))


def _true_status(connection: Connection, row: SyncState) -> str:
    if row.status == "running" and not is_running(connection, row.sync_type):
        return "killed"
    return row.status


def _count(connection: Connection, table: str) -> int:
    """Exact up to a million rows; counting more would keep an operator waiting."""
    row = connection.execute(
        "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [table]
    ).fetchone()
    if row and row[0] > 1_000_000:
        return int(row[0])
    counted = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(counted[0]) if counted else 0


def as_json(status: Status) -> dict[str, object]:
    return {
        "status": "completed",
        "workflows": {w.state.sync_type: _workflow_json(w) for w in status.workflows},
        "source": circuit.as_json(status.source),
        "counts": status.counts,
        "events_owed": status.events_owed,
    }


def _workflow_json(workflow: Workflow) -> dict[str, object]:
    row = workflow.state
    return {
        "status": workflow.status,
        "last_run_at": _iso(row.last_run_at),
        "last_success_at": _iso(row.last_success_at),
        "cursor": row.last_cursor,
        "error": row.error_message,
        "last_run": row.metadata.get("last_run"),
        "rejected": rejected_in(row.metadata),
    }


def as_text(status: Status) -> str:
    """A table for people; failures follow it with their reasons."""
    lines = [f"{'workflow':<17} {'status':<10} {'last run':<15} {'last success':<15} cursor"]
    for workflow in status.workflows:
        row = workflow.state
        lines.append(
            f"{row.sync_type.replace('_', '-'):<17} {workflow.status:<10}"
            f" {_ago(row.last_run_at, status.now):<15} {_ago(row.last_success_at, status.now):<15}"
            f" {row.last_cursor or '-'}"
        )
    for workflow in status.workflows:
        lines += _trouble(workflow)
    if status.source.state != "well":
        until = f" until {status.source.until:%Y-%m-%d %H:%M} UTC" if status.source.until else ""
        lines.append(f"source: {status.source.state}{until}: {status.source.reason}")
    counts = ", ".join(f"{number:,} {table}" for table, number in status.counts.items())
    return "\n".join([*lines, "", f"{counts}; {status.events_owed:,} events owed"])


def _trouble(workflow: Workflow) -> list[str]:
    row = workflow.state
    name = row.sync_type.replace("_", "-")
    lines = [f"{name}: {' '.join(row.error_message.split())}"] if row.error_message else []
    if workflow.status == "killed":
        lines.append(f"{name}: the last run was killed; the next one goes on from its cursor")
    rejected = rejected_in(row.metadata)
    for key, why in list(rejected.items())[:MAX_LISTED]:
        lines.append(f"{name}: cannot store {key}: {why.get('reason')} (try {why.get('attempts')})")
    if len(rejected) > MAX_LISTED:
        lines.append(f"{name}: … and {len(rejected) - MAX_LISTED:,} more; --json lists them all")
    return lines


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    seconds = max(int((now - moment).total_seconds()), 0)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
