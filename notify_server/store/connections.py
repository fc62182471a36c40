"""A few connections to share, which fail at once while the database is away and come back alone."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

import psycopg

import sql

log = logging.getLogger(__name__)

# Far above what any statement takes, and below the 60 s that senders give a batch.
_STATEMENT_TIMEOUT_S = 20
# A server that does not even end its statements in time has stopped working.
_MOST_LENT_S = 25


class Database:
    """Hands out connections, at most `size` at a time.

    While the database is away one caller at a time tries to reach it, and all others are refused
    at once. An idle connection that the server has closed is replaced before it is used.
    """

    def __init__(self, url: str, size: int) -> None:
        self._url = url
        self._slots = threading.BoundedSemaphore(size)
        self._idle: list[sql.Connection] = []
        self._lent: dict[sql.Connection, float] = {}
        self._lock = threading.Lock()
        self._probe = threading.Lock()
        self._trouble: str | None = None
        self._is_closed = False

    @contextmanager
    def connection(self) -> Iterator[sql.Connection]:
        """An autocommit connection for one transaction.

        Raises:
            DatabaseDown: there is none, or it was lost on the way.
        """
        with self._slots:
            connection = self._take() or self._open()
            self._lent[connection] = monotonic()
            try:
                with sql.translated():
                    yield connection
            except sql.DatabaseDown:
                connection.close()
                self._close_idle()
                raise
            except BaseException:
                connection.close()
                raise
            finally:
                self._lent.pop(connection, None)
            self._give_back(connection)

    def _take(self) -> sql.Connection | None:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not _has_been_closed(connection):
                    return connection
                connection.close()
        return None

    def _give_back(self, connection: sql.Connection) -> None:
        with self._lock:
            if not self._is_closed and not connection.closed:
                self._idle.append(connection)
                return
        connection.close()

    def _open(self) -> sql.Connection:
        if self._trouble is None:
            return self._connect()
        if not self._probe.acquire(blocking=False):
            raise sql.DatabaseDown(self._trouble)
        try:
            return self._connect()
        finally:
            self._probe.release()

    def _connect(self) -> sql.Connection:
        try:
            connection = open_connection(self._url)
        except sql.SqlError as exc:
            if self._trouble is None:
                log.warning("The database is away reason=%s", exc)
            self._trouble = str(exc)
            raise
        if self._trouble is not None:
            log.info("The database is back")
        self._trouble = None
        return connection

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def cut_stuck(self) -> None:
        """Ends the wait of those whose connection has been silent for far too long."""
        overdue = monotonic() - _MOST_LENT_S
        for connection, since in list(self._lent.items()):
            if since < overdue and not connection.closed:
                log.error("The database does not answer, cutting the connection")
                _cut(connection)

    def close(self) -> None:
        """Closes what is idle now, and the rest when it is given back."""
        self._is_closed = True
        self._close_idle()


def open_connection(url: str) -> sql.Connection:
    """A new connection to a database whose schema is this program's."""
    connection = sql.connect(url, "mangahub-notify")
    try:
        with sql.translated():
            connection.execute(f"SET statement_timeout = '{_STATEMENT_TIMEOUT_S}s'".encode())
            sql.require_current(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_been_closed(connection: sql.Connection) -> bool:
    """Whether an idle connection has something to read: nothing but a farewell can be."""
    if connection.closed:
        return True
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def _cut(connection: sql.Connection) -> None:
    """Has whoever waits for an answer on it fail; it may have been closed just now."""
    with suppress(OSError, psycopg.Error):
        with socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
