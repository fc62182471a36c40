"""Delivers events while a run is still under way, in a process of its own.

A run commits title by title and may take minutes; readers should not wait for its end. PostgreSQL
wakes the courier at each commit that wrote to the outbox (`NOTIFY`), whichever process made it, and
a notification server that does not answer holds up the courier and not the run.
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
from batch.delivery import relay
from batch.errors import BatchError
from batch.process import become_child
from batch.store.outbox import CHANNEL

FINISH_S = 5.0  # for a delivery under way when the run ends; what is left stays owed

log = logging.getLogger(__name__)


class Courier:
    """A child process that listens to the outbox.

    Args:
        config: where the notification server is.
        database_url: where the outbox is.
    """

    def __init__(self, config: Config, database_url: str) -> None:
        context = multiprocessing.get_context("fork")
        self._pipe, theirs = context.Pipe()
        arguments = (theirs, self._pipe, config, database_url, os.getpid())
        self._process = context.Process(target=_serve, args=arguments, name="courier")
        self._process.start()
        theirs.close()

    def finish(self, patience_s: float = FINISH_S) -> None:
        """Lets a delivery under way end, for so long and FINISH_S at most; ends the process."""
        with suppress(OSError):
            self._pipe.send(None)
        self._process.join(min(FINISH_S, patience_s))
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._pipe.close()
        self._process.close()


class _NoStop:
    """A delivery under way is ended by nobody but `Courier.finish`, which loses patience."""

    def check(self) -> None:
        return None

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


def _serve(pipe: Pipe, parents_end: Pipe, config: Config, database_url: str, parent: int) -> None:
    become_child(parent)
    parents_end.close()
    try:
        with sql.connect(database_url, "mangahub-batch courier") as connection, sql.translated():
            connection.execute(f"LISTEN {CHANNEL}")
            _deliver_until_told(pipe, connection, config)
    except (BatchError, sql.SqlError, psycopg.Error) as exc:
        line = " ".join(str(exc).split())
        log.warning("Events are delivered at the end of the run only: %s", line)


def _deliver_until_told(pipe: Pipe, connection: sql.Connection, config: Config) -> None:
    """One attempt for each commit; a server that turns out to be down is left alone.

    A wake-up that comes while a delivery asks the database is taken in by that very query, and
    leaves nothing to be read at the socket: the handler remembers it.
    """
    wake_ups: list[object] = ["events of before somebody listened"]
    connection.add_notify_handler(wake_ups.append)
    while wake_ups or not _told_to_end(pipe, connection):
        wake_ups.clear()
        if relay.relay(connection, config, _NoStop(), everything=False).is_down:
            return


def _told_to_end(pipe: Pipe, connection: sql.Connection) -> bool:
    ready, _, _ = select.select([connection.fileno(), pipe.fileno()], [], [])
    return pipe.fileno() in ready
