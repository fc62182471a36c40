"""The commands behind the command line; each returns what is to be printed."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass

import sql
from batch.config import Config
from batch.errors import BatchError, Stopped
from batch.models import Summary
from batch.report import summary_text
from batch.stop import SignalStop
from mangahub.env import Env

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Context:
    """What every command is given."""

    arguments: argparse.Namespace
    env: Env
    config: Config
    stop: SignalStop


@dataclass(frozen=True, slots=True)
class Report:
    """How a command ended.

    Attributes:
        data: for `--json`.
        text: for people; may be empty.
        code: the exit code.
    """

    data: dict[str, object]
    text: str = ""
    code: int = 0


class Failed(BatchError):
    """A sync command that did not end well.

    Attributes:
        cause: the error that ended it.
        done: what it had done until then, as in a good run's JSON.
    """

    def __init__(self, cause: Exception, done: dict[str, object]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.done = done


def nothing_done(arguments: argparse.Namespace) -> dict[str, object]:
    """What `--json` has of a command that failed before it began."""
    if arguments.function is not sync:
        return {"status": "error"}
    return Summary(_sync_type(arguments), status="error").as_json()


def _sync_type(arguments: argparse.Namespace) -> str:
    return str(arguments.command).replace("-", "_")


def sync(context: Context) -> Report:
    """Runs one workflow."""
    from batch.commands import sync
    from batch.reporting import after_run

    arguments = context.arguments
    workflow = sync.Workflow(
        sync_type=_sync_type(arguments),
        full=getattr(arguments, "all", False),
        force=getattr(arguments, "force", False),
        limit=getattr(arguments, "count", None) or getattr(arguments, "limit", None),
    )
    summary = Summary(workflow.sync_type, status="error")
    try:
        with after_run.following(context.config, context.stop, summary) as ending:
            ending.database_url = url = sql.database_url(context.env)
            sync.run_workflow(workflow, context.config, url, context.stop, summary)
    except Exception as exc:
        if summary.status == "completed":  # its very end could not be recorded
            summary.status = "error"
        raise Failed(exc, summary.as_json()) from exc
    return Report(summary.as_json(), summary_text(summary))


def relay(context: Context) -> Report:
    """Delivers everything that is owed, whatever its next attempt's time."""
    from batch.commands import sync
    from batch.delivery import relay
    from batch.reporting import after_run
    from batch.store import outbox

    with sync.open_database(sql.database_url(context.env)) as connection, sql.translated():
        try:
            done = relay.relay(connection, context.config, context.stop, everything=True)
        except Stopped as exc:
            owed = outbox.count_owed(connection)
            stopped = {"sync_type": "relay", "status": "stopped", "owed": owed}
            raise Failed(exc, stopped) from exc
        owed = outbox.count_owed(connection)
        after_run.note_state(context.config, connection)
    data: dict[str, object] = {
        "sync_type": "relay",
        "status": "completed" if owed == 0 else "owed",
        "accepted": done.accepted,
        "owed": owed,
    }
    return Report(data, f"{done.accepted:,} events delivered, {owed:,} still owed", 75 * (owed > 0))


def retention(context: Context) -> Report:
    """Deletes what is old and needed by nobody; nothing where no number of days is given."""
    from batch.commands import sync
    from batch.store import locks, retention

    arguments = context.arguments
    days = arguments.days or context.config.retention_days
    data: dict[str, object] = {
        "sync_type": "retention",
        "status": "skipped",
        "days": days,
        "dry_run": arguments.dry_run,
    }
    if days is None:
        text = "retention is off: set MANGAHUB_RETENTION_DAYS, or give --days"
        return Report(data | dict.fromkeys(retention.NAMES, 0), text)
    done: dict[str, int] = {}
    with sync.open_database(sql.database_url(context.env)) as connection, sql.translated():
        if arguments.dry_run:
            done |= retention.count_old(connection, days)
        else:
            locks.take_lock(connection, "retention")
            try:
                retention.delete_old(connection, days, context.stop, done)
            except (BatchError, sql.SqlError) as exc:
                raise Failed(exc, data | {"status": "error"} | done) from exc
    counts = ", ".join(f"{count:,} {name}" for name, count in done.items())
    verb = "would be deleted" if arguments.dry_run else "deleted"
    return Report(data | {"status": "completed"} | done, f"{counts} {verb}")


def status(context: Context) -> Report:
    """What ran when, how it ended, cursors, failures, counts."""
    from batch.commands import status, sync

    with sync.open_database(sql.database_url(context.env)) as connection, sql.translated():
        facts = status.read_status(connection)
    return Report(status.as_json(facts), status.as_text(facts))


def migrate(context: Context) -> Report:
    """Brings the database to the current schema."""
    stop = context.stop
    url = sql.database_url(context.env)
    try:
        applied = sql.migrate(url, lambda: stop.signal_number is not None)
    except sql.MigrationStopped:
        stop.check()
        raise
    outcome = sql.look_back(url, applied)
    for warning in outcome.warnings:
        logger.warning("%s", warning)
    lines = [f"applied {name}" for name in applied] + ([outcome.origin] if outcome.origin else [])
    text = "\n".join(lines) or "the schema is current"
    return Report({"status": "completed", "applied": applied}, text)


def doctor(context: Context) -> Report:
    """Looks for the usual mistakes."""
    from batch.commands.doctor import examination

    findings = examination.examine(context.env, context.config, context.stop)
    return Report(
        examination.as_json(findings),
        examination.as_text(findings),
        examination.exit_code(findings),
    )
