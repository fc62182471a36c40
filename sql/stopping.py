"""Ends a session's statement, running or waiting, when the program is asked to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

import psycopg

from sql.connection import Connection
from sql.errors import MigrationStopped

IsStopped = Callable[[], bool]
_LOOK_EVERY_S = 0.1
_CANCEL_TIMEOUT_S = 2.0


@contextmanager
def stoppable(connection: Connection, is_stopped: IsStopped | None) -> Iterator[None]:
    """Cancel the session's statements as soon as `is_stopped` returns true.

    Raises:
        MigrationStopped: that happened.
    """
    if is_stopped is None:
        yield
        return
    check(is_stopped)
    done = Event()
    # Repeated: a request that comes between two statements has no effect.
    watcher = Thread(target=_watch, args=(connection, is_stopped, done), name="migrate-stop")
    watcher.start()
    try:
        yield
    except psycopg.errors.QueryCanceled:
        check(is_stopped)
        raise
    finally:
        done.set()
        watcher.join()


def check(is_stopped: IsStopped) -> None:
    if is_stopped():
        raise MigrationStopped("stopped before all migrations were applied: run it again")


def _watch(connection: Connection, is_stopped: IsStopped, done: Event) -> None:
    while not done.wait(_LOOK_EVERY_S):
        if is_stopped():
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=_CANCEL_TIMEOUT_S)
