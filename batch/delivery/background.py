"""Deliver events while a run is under way, in a process of its own.

A run commits title by title and may take minutes; readers should not wait for its end. PostgreSQL
wakes this process at each commit that writes to the outbox (`NOTIFY`), whichever process made it,
and a notification server that does not answer delays this process, not the run.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import select
import time
from contextlib import suppress
from multiprocessing.connection import Connection as Pipe

import psycopg

import sql
from batch.config import Config
from batch.delivery.relay import deliver_owed
from batch.errors import BatchError
from batch.process import become_child, start_child
from batch.store.outbox import CHANNEL

FINISH_S = 5.0  # for a delivery under way when the run ends; the rest stays owed

log = logging.getLogger(__name__)


class BackgroundRelay:
    """A child process that delivers what each commit adds to the outbox."""

    def __init__(self, config: Config, database_url: str) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        arguments = (theirs, self._pipe, config, database_url, os.getpid())
        self._process = start_child(_serve, *arguments, name="relay")
        theirs.close()

    def finish(self, timeout_s: float = FINISH_S) -> None:
        """End the process once its delivery is done, or kill it after the timeout or FINISH_S."""
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(min(FINISH_S, timeout_s))
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process.close()


class _NoStop:
    """A Stop that never comes: `BackgroundRelay.finish` alone ends a delivery."""

    def check(self) -> None:
        return None

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


def _serve(pipe: Pipe, parents_end: Pipe, config: Config, database_url: str, parent: int) -> None:
    become_child(parent)
    parents_end.close()
    try:
        with sql.connect(database_url, "mangahub-batch relay") as connection, sql.translated():
            connection.execute(f"LISTEN {CHANNEL}")
            _deliver_until_finished(pipe, connection, config)
    except (BatchError, sql.SqlError, psycopg.Error) as exc:
        log.warning("Events are delivered at the end of the run only: %s", sql.one_line(exc))


def _deliver_until_finished(pipe: Pipe, connection: sql.Connection, config: Config) -> None:
    """Make one attempt for each commit; give up once the server is down.

    A notification that arrives while a delivery asks the database is consumed by that query and
    leaves nothing to read at the socket: the handler keeps it.
    """
    wake_ups: list[object] = ["events from before the LISTEN"]
    connection.add_notify_handler(wake_ups.append)
    while wake_ups or not _wait_for_finish(pipe, connection):
        wake_ups.clear()
        if deliver_owed(connection, config, _NoStop(), everything=False).is_down:
            return


def _wait_for_finish(pipe: Pipe, connection: sql.Connection) -> bool:
    """Wait for the next event; return whether the run has ended."""
    ready, _, _ = select.select([connection.fileno(), pipe.fileno()], [], [])
    return pipe.fileno() in ready
