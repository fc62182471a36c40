"""`status`: each workflow's last run, cursor and rejections, and what the tables hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sql
from batch.commands.context import Command, Context, Report, open_database
from batch.commands.relay import shown_rejection
from batch.limits import circuit
from sql import Connection
from sql.state import source
from sql.state.backlog import RejectedEvent, read_backlog, read_rejected
from sql.state.source import Health
from sql.state.workflows import SyncState, command_name, read_all, read_status

MAX_LISTED = 20  # rejections of a workflow, of which --json has all; rejected events
MAX_COUNTED = 1_000_000  # rows; counting more would keep an operator waiting
_TABLES = ("manga", "chapters", "genres", "users", "user_library", "notifications")


@dataclass(frozen=True, slots=True)
class WorkflowStatus:
    """One workflow; `status` is `killed` if the row says running and its lock is free."""

    state: SyncState
    status: str


@dataclass(frozen=True, slots=True)
class Status:
    """Everything `status` shows."""

    workflows: list[WorkflowStatus]
    source: Health
    counts: dict[str, int]
    events_owed: int
    events_rejected: list[RejectedEvent]
    now: datetime


def run(context: Context) -> Report:
    """Read everything, and print it."""
    with open_database(sql.database_url(context.env)) as connection:
        status = read_everything(connection)
    return Report(as_json(status), as_lines(status))


def read_everything(connection: Connection) -> Status:
    return Status(
        workflows=[
            WorkflowStatus(row, read_status(connection, row)) for row in read_all(connection)
        ],
        source=source.read_source(connection),
        counts={table: _count(connection, table) for table in _TABLES},
        events_owed=read_backlog(connection).count,
        events_rejected=read_rejected(connection, MAX_LISTED),
        now=datetime.now(UTC),
    )


def _count(connection: Connection, table: str) -> int:
    """Count rows; of a big table return the planner's estimate."""
    row = connection.execute(
        "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)", [table]
    ).fetchone()
    if row and row[0] > MAX_COUNTED:
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
        "events_rejected": [asdict(event) for event in status.events_rejected],
    }


def _workflow_json(workflow: WorkflowStatus) -> dict[str, object]:
    row = workflow.state
    return {
        "status": workflow.status,
        "last_run_at": _iso(row.last_run_at),
        "last_success_at": _iso(row.last_success_at),
        "cursor": row.last_cursor,
        "error": row.error_message,
        "last_run": row.metadata.get("last_run"),
        "rejected": row.rejected,
    }


def as_lines(status: Status) -> list[str]:
    """Return a table for people, and below it errors and rejections with their reasons."""
    lines = [f"{'workflow':<17} {'status':<10} {'last run':<15} {'last success':<15} cursor"]
    for workflow in status.workflows:
        row = workflow.state
        lines.append(
            f"{command_name(row.sync_type):<17} {workflow.status:<10}"
            f" {_ago(row.last_run_at, status.now):<15} {_ago(row.last_success_at, status.now):<15}"
            f" {row.last_cursor or '-'}"
        )
    for workflow in status.workflows:
        lines += [
            f"{command_name(workflow.state.sync_type)}: {problem}"
            for problem in _problems(workflow)
        ]
    lines += map(shown_rejection, status.events_rejected)
    if status.source.state != "well":
        until = f" until {status.source.until:%Y-%m-%d %H:%M} UTC" if status.source.until else ""
        lines.append(f"source: {status.source.state}{until}: {status.source.reason}")
    counts = ", ".join(f"{number:,} {table}" for table, number in status.counts.items())
    return [*lines, "", f"{counts}; {status.events_owed:,} events owed"]


def _problems(workflow: WorkflowStatus) -> list[str]:
    row = workflow.state
    problems = [" ".join(row.error_message.split())] if row.error_message else []
    if workflow.status == "killed":
        problems.append("the last run was killed; the next one continues from its cursor")
    rejected = row.rejected
    for key, why in list(rejected.items())[:MAX_LISTED]:
        problems.append(f"cannot store {key}: {why.get('reason')} (try {why.get('attempts')})")
    if len(rejected) > MAX_LISTED:
        problems.append(f"… and {len(rejected) - MAX_LISTED:,} more; --json lists them all")
    return problems


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


COMMAND = Command("status", "show what ran when, how it ended, and what was rejected", run)
