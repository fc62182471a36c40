"""The sync commands: run one workflow from lock to summary, and deliver its events."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import sql
from batch.commands.context import Command, Context, Failed, Report, open_database, whole_number
from batch.config import Config
from batch.delivery.background import BackgroundRelay
from batch.delivery.relay import deliver_owed
from batch.errors import BatchError, SourceDown, Stopped
from batch.jobs import (
    chapter_check,
    chapter_feed,
    fetch_wanted,
    initial_sync,
    metadata_refresh,
    new_manga_poll,
)
from batch.jobs.context import JobContext
from batch.limits import circuit
from batch.models import Summary
from batch.reporting import after_run
from batch.reporting.progress import Progress
from batch.stop import SignalStop
from batch.store import sync_state
from batch.store.locks import take_lock
from mangahub.config import MAX_COUNT
from sql.state import wishes
from sql.state.workflows import command_name

# Fields of a summary that its sentence counts; those that are 0 are left out, but the first.
_COUNTED = {
    "manga_seen": "titles seen",
    "manga_new": "new",
    "manga_updated": "changed",
    "chapters_new": "new chapters",
    "events": "events",
    "failed": "rejected",
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow to run: its row in `sync_state`, and its options on the command line."""

    sync_type: str
    full: bool = False
    force: bool = False
    limit: int | None = None


def run(context: Context) -> Report:
    """Run the workflow that the command names.

    Raises:
        Failed: with what was done until then.
    """
    workflow = _read_workflow(context.arguments)
    summary = Summary(workflow.sync_type, status="error")
    try:
        with after_run.reporting(summary, context.config, context.stop) as ending:
            ending.database_url = url = sql.database_url(context.env)
            run_workflow(workflow, context.config, url, context.stop, summary)
    except Exception as exc:
        if summary.status == "completed":  # its very end could not be recorded
            summary.status = "error"
        raise Failed(exc, summary.as_json()) from exc
    _run_wished(context, url)
    return Report(summary.as_json(), [summary_text(summary)])


def _run_wished(context: Context, url: str) -> None:
    """Run the workflows that an operator has asked for on the website.

    They come after the run that was started, so they delay its news by nothing; how they end is
    recorded as that of every run, and does not change how this one has ended.
    """
    with open_database(url) as connection:
        wished = wishes.read_wishes(connection)
    for sync_type in filter(WORKFLOWS.__contains__, wished):
        log.info("Running a workflow that was asked for on the website sync_type=%s", sync_type)
        workflow = Workflow(sync_type, full=sync_type == "chapter_check")  # as its timer does
        summary = Summary(sync_type, status="error")
        try:
            with after_run.reporting(summary, context.config, context.stop) as ending:
                ending.database_url = url
                run_workflow(workflow, context.config, url, context.stop, summary)
        except Stopped:
            return
        except Exception as exc:
            log.error(
                "The workflow has failed sync_type=%s reason=%s", sync_type, sql.one_line(exc)
            )


def _read_workflow(arguments: argparse.Namespace) -> Workflow:
    return Workflow(
        sync_type=arguments.command.name.replace("-", "_"),
        full=getattr(arguments, "all", False),
        force=getattr(arguments, "force", False),
        limit=getattr(arguments, "count", None) or getattr(arguments, "limit", None),
    )


def run_workflow(
    workflow: Workflow, config: Config, database_url: str, stop: SignalStop, summary: Summary
) -> None:
    """Run one workflow, and try to deliver what the outbox owes after it.

    Args:
        summary: filled while the run goes on, so that it also describes one that fails.

    Raises:
        LockHeld, Stopped, SourceDown, BatchError, SqlError: how the run failed; its state is
            recorded where the database can be reached.
    """
    with open_database(database_url) as connection:
        take_lock(connection, workflow.sync_type)
        before = sync_state.read(connection, workflow.sync_type)
        if before.status == "running":
            log.warning(
                "The previous run was killed; continuing from its cursor started_at=%s",
                before.last_run_at,
            )
        now = datetime.now(UTC)
        sync_state.begin(connection, workflow.sync_type, now)
        wishes.forget_wish(connection, workflow.sync_type)
        summary.status = "completed"
        job = JobContext(
            config=config,
            connection=connection,
            database_url=database_url,
            stop=stop,
            progress=Progress(),
            summary=summary,
            started_at=now,
            status_before=before.status,
            full=workflow.full,
            force=workflow.force,
            limit=workflow.limit,
        )
        try:
            _run_job(job)
        finally:
            summary.stop_clock()
            job.progress.close()


def _run_job(job: JobContext) -> None:
    name = job.summary.sync_type
    try:
        with sql.translated(), _delivering(job):
            _admit(job)
            WORKFLOWS[name].run(job)
        _deliver(job)
    except Stopped as exc:
        _record_end(job, "idle", f"{exc}; the next run continues from its cursor")
        raise
    except Exception as exc:
        _record_failure(job, exc)
        raise
    job.summary.stop_clock()
    did_nothing = job.summary.status == "skipped" and job.status_before == "idle"
    status = "idle" if did_nothing else "completed"
    sync_state.finish(job.connection, name, status, None, last_run=job.summary.as_json())
    log.info(
        "Run ended sync_type=%s status=%s requests=%d seconds=%.1f",
        name,
        job.summary.status,
        job.summary.requests,
        job.summary.seconds,
    )


def _admit(job: JobContext) -> None:
    """Probe a source that was unavailable; not for a run that asks nothing."""
    if WORKFLOWS[job.summary.sync_type].asks_nothing(job):
        return
    circuit.admit(job.connection, lambda: job.api.probe(), job.started_at)


@contextmanager
def _delivering(job: JobContext) -> Iterator[None]:
    """Deliver events while the job is under way; an initial sync makes few, if any."""
    relay = None
    if job.summary.sync_type != "initial_sync":
        relay = BackgroundRelay(job.config, job.database_url)
    try:
        yield
    finally:
        with job.stop.uninterrupted():  # else the relay's process would be left behind
            job.close()
            if relay is not None:
                relay.finish(job.stop.grace_left)


def _record_failure(job: JobContext, exc: Exception) -> None:
    """Record the error; deliver what was committed before it all the same."""
    is_expected = isinstance(exc, BatchError | sql.SqlError)
    _record_end(job, "error", str(exc) if is_expected else f"{type(exc).__name__}: {exc}")
    with suppress(Exception):
        if isinstance(exc, SourceDown):
            now = datetime.now(UTC)
            health = circuit.note_failure(job.connection, exc, now)
            if health.until is not None:
                job.permits.pause(health.until - now, circuit.LONGEST_BAN)
        _deliver(job)


def _record_end(job: JobContext, status: str, error: str) -> None:
    """Record how the run ended; its own error matters more than one of the recording."""
    job.summary.status = "stopped" if status == "idle" else "error"
    job.summary.stop_clock()
    with suppress(Exception):
        sync_state.finish(
            job.connection, job.summary.sync_type, status, error, last_run=job.summary.as_json()
        )


def _deliver(job: JobContext) -> None:
    """Deliver what is due; what cannot be delivered stays owed, and fails no run."""
    deliver_owed(job.connection, job.config, job.stop, everything=False)


def summary_text(summary: Summary) -> str:
    """Return, say, `initial-sync completed: 150 titles seen, 150 new; 2 requests in 0.8 s`."""
    name = command_name(summary.sync_type)
    if summary.status == "skipped":
        return f"{name} skipped: there is nothing to do"
    counts = [
        f"{getattr(summary, key):,} {words}"
        for key, words in _COUNTED.items()
        if getattr(summary, key) or key == "manga_seen"
    ]
    cost = f"{summary.requests:,} requests in {summary.seconds:.1f} s"
    limited = f", {summary.rate_limited:,} answered with 429" if summary.rate_limited else ""
    return f"{name} {summary.status}: {', '.join(counts)}; {cost}{limited}"


def _add_import_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--count",
        type=whole_number(1, MAX_COUNT, " (use --all for more)"),
        metavar="N",
        help="titles to import (MANGA_SYNC_INITIAL_COUNT)",
    )
    which.add_argument("--all", action="store_true", help="import the whole catalogue")
    parser.add_argument(
        "--force", action="store_true", help="even if a completed run covered as much"
    )


def _add_check_arguments(parser: argparse.ArgumentParser) -> None:
    how_many = parser.add_mutually_exclusive_group()
    how_many.add_argument(
        "--limit",
        type=whole_number(1, 1_000_000, " (or --all)"),
        metavar="N",
        help="titles to check (MANGA_SYNC_CHAPTER_BATCH)",
    )
    how_many.add_argument("--all", action="store_true", help="all titles that are due")


def _no_arguments(_: argparse.ArgumentParser) -> None:
    """Declare no options."""


@dataclass(frozen=True, slots=True)
class Job:
    """A workflow's job, and its command.

    Attributes:
        summary: one line of help.
        asks_nothing: whether a run would send the source no request at all.
    """

    run: Callable[[JobContext], None]
    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None] = _no_arguments
    asks_nothing: Callable[[JobContext], bool] = lambda job: False


# Every workflow, by its row in `sync_state`; its command has the same name with hyphens.
WORKFLOWS = {
    "initial_sync": Job(
        initial_sync.run,
        "import the first titles, or all",
        _add_import_arguments,
        asks_nothing=lambda job: not job.config.initial_enabled,
    ),
    "new_manga_poll": Job(new_manga_poll.run, "import titles created since the last run"),
    "chapter_feed": Job(chapter_feed.run, "find new chapters of all tracked titles"),
    "chapter_check": Job(
        chapter_check.run, "read the chapters of titles that are due", _add_check_arguments
    ),
    "metadata_refresh": Job(metadata_refresh.run, "update what changed of known titles"),
    "fetch_wanted": Job(
        fetch_wanted.run,
        "import titles that readers' lists name",
        asks_nothing=fetch_wanted.has_nothing_to_do,
    ),
}
COMMANDS = tuple(
    Command(
        command_name(sync_type),
        job.summary,
        run,
        job.add_arguments,
        Summary(sync_type, status="error").as_json(),
    )
    for sync_type, job in WORKFLOWS.items()
)
