"""`retention`: delete old rows that are no longer needed, if a number of days is given."""

from __future__ import annotations

import argparse

import sql
from batch.commands.context import Command, Context, Failed, Report, open_database, whole_number
from batch.config import MAX_DAYS
from batch.errors import BatchError
from batch.store import retention
from batch.store.locks import take_lock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--days",
        type=whole_number(1, MAX_DAYS),
        metavar="N",
        help="minimum age (MANGAHUB_RETENTION_DAYS)",
    )
    parser.add_argument("--dry-run", action="store_true", help="count only, delete nothing")


def run(context: Context) -> Report:
    """Delete, or count with `--dry-run`.

    Raises:
        Failed: it ended early; what was deleted stays deleted.
    """
    days = context.arguments.days or context.config.retention_days
    dry_run = context.arguments.dry_run
    data: dict[str, object] = {
        "sync_type": "retention",
        "status": "skipped",
        "days": days,
        "dry_run": dry_run,
    }
    if days is None:
        text = "retention is off: set MANGAHUB_RETENTION_DAYS, or give --days"
        return Report(data | dict.fromkeys(retention.NAMES, 0), [text])
    with open_database(sql.database_url(context.env)) as connection:
        if dry_run:
            done = retention.count_old(connection, days)
        else:
            done = _delete(context, connection, days, data)
    counts = ", ".join(f"{count:,} {name}" for name, count in done.items())
    verb = "would be deleted" if dry_run else "deleted"
    return Report(data | {"status": "completed"} | done, [f"{counts} {verb}"])


def _delete(
    context: Context, connection: sql.Connection, days: int, data: dict[str, object]
) -> dict[str, int]:
    take_lock(connection, "retention")
    done: dict[str, int] = {}
    try:
        retention.delete_old(connection, days, context.stop, done)
    except (BatchError, sql.SqlError) as exc:
        raise Failed(exc, data | {"status": "error"} | done) from exc
    return done


COMMAND = Command("retention", "delete old read notifications and events", run, add_arguments)
