"""What follows a run, however it ended: metrics for Prometheus, and alerts to the operator.

None of it changes how the run ended: what goes wrong in here is one WARNING.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg

import sql
from batch.config import Config
from batch.errors import LockHeld, Stopped, exit_code
from batch.models import Summary
from batch.reporting import alerts
from batch.stop import SignalStop

_TIMEOUT = "2s"  # for a statement: metrics are not worth a wait

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Ending:
    """A run from outside: how it ended, and where its database is once that is known."""

    summary: Summary
    started_at: datetime
    ended_at: datetime
    database_url: str | None = None
    error: BaseException | None = None


@contextmanager
def reporting(summary: Summary, config: Config, stop: SignalStop) -> Iterator[Ending]:
    """Look after the run in the block when it is over; errors pass through.

    A run that another one kept from beginning is none.
    """
    now = datetime.now(UTC)
    ending = Ending(summary, now, now)
    try:
        yield ending
    except BaseException as exc:
        ending.error = exc
        raise
    finally:
        ending.ended_at = datetime.now(UTC)
        if not isinstance(ending.error, LockHeld):
            _follow(ending, config, stop)


def write_state(config: Config, connection: sql.Connection) -> None:
    """Write what the database tells, for commands that are no runs of a workflow."""
    if config.metrics_dir is None:
        return
    from batch.reporting import metrics  # an option; takes 60 ms

    with _figures_are_optional(config.metrics_dir):
        metrics.write_state(config.metrics_dir, metrics.read_state(connection))


def _follow(ending: Ending, config: Config, stop: SignalStop) -> None:
    if config.metrics_dir is None and not config.alert_urls:
        return
    with _database(ending) as connection:
        if config.metrics_dir is not None:
            _write_figures(config.metrics_dir, ending, config.rate_per_second, connection)
        if config.alert_urls and not isinstance(ending.error, Stopped):
            _tell(ending, config, stop, connection)


def _write_figures(
    folder: Path, ending: Ending, per_second: float, connection: sql.Connection | None
) -> None:
    from batch.reporting import metrics  # an option; takes 60 ms

    run = metrics.RunFigures(
        summary=ending.summary,
        started_at=ending.started_at,
        seconds=max((ending.ended_at - ending.started_at).total_seconds(), 0.0),
        exit_status=exit_code(ending.error),
        per_second=per_second,
    )
    with _figures_are_optional(folder):
        metrics.write_run(folder, run)
        if connection is not None:
            metrics.write_state(folder, metrics.read_state(connection))


@contextmanager
def _figures_are_optional(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or str(exc)
        log.warning("The metrics for Prometheus cannot be written to %s: %s", folder, reason)
    except (sql.SqlError, psycopg.Error) as exc:
        log.warning("The metrics for Prometheus cannot be read: %s", sql.one_line(exc))


def _tell(
    ending: Ending, config: Config, stop: SignalStop, connection: sql.Connection | None
) -> None:
    error = None if ending.error is None else sql.one_line(ending.error)
    end = alerts.RunEnd(ending.summary.sync_type, ending.ended_at, error)
    try:
        alerts.follow_up(end, config, stop, connection)
    except OSError as exc:
        log.warning("No alert is sent: it could not be recorded: %s", sql.one_line(exc))


@contextmanager
def _database(ending: Ending) -> Iterator[sql.Connection | None]:
    """Open a short-lived connection; yield None if there is no database URL."""
    connection = None
    if ending.database_url is not None and not isinstance(ending.error, sql.DatabaseDown):
        try:
            connection = sql.connect(ending.database_url, "mangahub-batch after-run")
            connection.execute(f"SET statement_timeout = '{_TIMEOUT}'".encode())
        except (sql.SqlError, psycopg.Error) as exc:
            log.warning("The database cannot be read after the run: %s", sql.one_line(exc))
    try:
        yield connection
    finally:
        if connection is not None:
            connection.close()
