"""One run of a workflow from lock to summary: what every sync command shares."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import psycopg
from psycopg.pq import TransactionStatus

import sql
from batch.config import Config
from batch.delivery import relay
from batch.delivery.background import Courier
from batch.errors import BatchError, SourceDown, Stopped
from batch.jobs.context import Run
from batch.limits import circuit
from batch.models import Summary
from batch.reporting.progress import Progress
from batch.stop import LAST_S, SignalStop
from batch.store import sync_state
from batch.store.locks import take_lock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Workflow:
    """A sync command.

    Attributes:
        sync_type: its row in `sync_state`; also its module in `batch.jobs`.
        options: as they stand on the command line.
    """

    sync_type: str
    full: bool = False
    force: bool = False
    limit: int | None = None


def run_workflow(
    workflow: Workflow, config: Config, database_url: str, stop: SignalStop, summary: Summary
) -> None:
    """Runs one workflow, and tries to deliver what the outbox owes after it.

    Args:
        summary: filled as the run goes on, so that it also tells of one that fails.

    Raises:
        LockHeld, Stopped, SourceDown, BatchError, sql.SqlError: how the run failed; its state has
            been recorded where the database could be reached.
    """
    with open_database(database_url) as connection, sql.translated():
        take_lock(connection, workflow.sync_type)
        run = _prepare(workflow, config, connection, database_url, stop, summary)
        try:
            _run_job(run)
        finally:
            summary.stop_clock()
            run.progress.close()


@contextmanager
def open_database(database_url: str) -> Iterator[sql.Connection]:
    """A connection to a database whose schema is current, for the time of the block."""
    connection = sql.connect(database_url, "mangahub-batch")
    try:
        with sql.translated():
            sql.require_current(connection)
        yield connection
    finally:
        _close(connection)


def _close(connection: sql.Connection) -> None:
    """The server would go on with a query, or a wait, that the program was torn out of."""
    if connection.info.transaction_status == TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=LAST_S)
    connection.close()


def _prepare(
    workflow: Workflow,
    config: Config,
    connection: sql.Connection,
    database_url: str,
    stop: SignalStop,
    summary: Summary,
) -> Run:
    before = sync_state.read(connection, workflow.sync_type)
    if before.status == "running":
        log.warning(
            "The run before did not end by itself started=%s; going on from its cursor",
            before.last_run_at,
        )
    now = datetime.now(UTC)
    summary.status = "completed"
    sync_state.begin(connection, workflow.sync_type, now)
    return Run(
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


def _run_job(run: Run) -> None:
    name = run.summary.sync_type
    job = cast("Callable[[Run], None]", importlib.import_module(f"batch.jobs.{name}").run)
    try:
        with sql.translated(), _couriered(run):
            _ask_for_admission(run)
            job(run)
        _deliver(run)
    except Stopped as exc:
        _record_end(run, "idle", f"{exc}; the next run goes on from there")
        raise
    except Exception as exc:
        _wind_up(run, exc)
        raise
    run.summary.stop_clock()
    did_nothing = run.summary.status == "skipped" and run.status_before == "idle"
    ending = "idle" if did_nothing else "completed"
    sync_state.finish(run.connection, name, ending, None, last_run=run.summary.as_json())
    log.info(
        "Run ended sync_type=%s status=%s requests=%d seconds=%.1f",
        name,
        run.summary.status,
        run.summary.requests,
        run.summary.seconds,
    )


def _ask_for_admission(run: Run) -> None:
    """Probes a source that was in trouble; a run that asks nothing need not know."""
    if run.summary.sync_type == "initial_sync" and not run.config.initial_enabled:
        return
    circuit.admit(run.connection, lambda: run.api.probe(), run.started_at)


@contextmanager
def _couriered(run: Run) -> Iterator[None]:
    """Delivers events while the job is under way; an initial sync makes none."""
    courier = None
    if run.summary.sync_type != "initial_sync":
        courier = Courier(run.config, run.database_url)
    try:
        yield
    finally:
        with run.stop.uninterrupted():  # or the courier would be left
            run.close()
            if courier is not None:
                courier.finish(run.stop.grace_left)


def _wind_up(run: Run, exc: Exception) -> None:
    """After a failure: what was committed before it is news all the same."""
    is_foreseen = isinstance(exc, BatchError | sql.SqlError)
    _record_end(run, "error", str(exc) if is_foreseen else f"{type(exc).__name__}: {exc}")
    with suppress(Exception):
        if isinstance(exc, SourceDown):
            now = datetime.now(UTC)
            health = circuit.note_trouble(run.connection, exc, now)
            if health.until is not None:
                run.permits.pause(health.until - now, circuit.LONGEST_BAN)
        _deliver(run)


def _record_end(run: Run, status: str, error: str) -> None:
    """The run's own error matters more than one in recording it."""
    run.summary.status = "stopped" if status == "idle" else "error"
    run.summary.stop_clock()
    with suppress(Exception):
        sync_state.finish(
            run.connection, run.summary.sync_type, status, error, last_run=run.summary.as_json()
        )


def _deliver(run: Run) -> None:
    """What cannot be delivered stays owed; a run does not fail by it."""
    relay.relay(run.connection, run.config, run.stop, everything=False)
