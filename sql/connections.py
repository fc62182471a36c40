"""A few shared connections, which fail at once during an outage and recover on their own."""

from __future__ import annotations

import logging
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from time import monotonic

import psycopg

from sql.connection import Connection, connect, translated
from sql.errors import DatabaseDown, DatabaseUnwritable, NoFreeConnection, SqlError
from sql.schema import require_current

log = logging.getLogger(__name__)

# Far above what any statement takes, and below the 60 s that senders give a batch.
_STATEMENT_TIMEOUT_S = 20
# A server that does not end its statements in time has stopped working.
_MOST_LENT_S = 25
# For a connection that is lent, where no other may be opened.
_WAIT_S = 5.0
_LOOK_S = 0.1


class Database:
    """Lends connections, at most `size` at a time.

    While the database is unavailable one caller at a time tries to reach it, and all others fail at
    once. An idle connection that the server has closed is replaced before it is used.

    Attributes:
        is_unwritable: whether it did not store what it was last given.
    """

    def __init__(
        self,
        url: str,
        size: int,
        examine: Callable[[Connection], None] = lambda _: None,
        application_name: str = "mangahub-notify",
    ) -> None:
        """Connect when first asked to.

        Args:
            examine: called with each new connection before it is lent; what it raises closes it.
        """
        self._url = url
        self._application_name = application_name
        self._examine = examine
        self._available = threading.BoundedSemaphore(size)
        self._idle: list[Connection] = []
        self._lent: dict[Connection, float] = {}
        self._lock = threading.Lock()
        self._reconnecting = threading.Lock()
        self._reason_away: str | None = None
        self._returned = threading.Event()
        self._has_few = False
        self._is_closed = False
        self.is_unwritable = False

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend an autocommit connection for one transaction.

        Raises:
            DatabaseDown: there is none, or it was lost meanwhile.
        """
        with self._available:
            connection = self._take() or self._open_or_wait()
            self._lent[connection] = monotonic()
            try:
                with translated():
                    yield connection
            except BaseException as exc:
                connection.close()
                if isinstance(exc, DatabaseDown):
                    self._close_idle()
                elif isinstance(exc, DatabaseUnwritable):
                    self._note_unwritable(exc)
                raise
            finally:
                self._lent.pop(connection, None)
            self._give_back(connection)

    def note_written(self) -> None:
        """Note that the database stores what it is given."""
        if self.is_unwritable:
            self.is_unwritable = False
            log.info("The database accepts writes again")

    def _note_unwritable(self, exc: DatabaseUnwritable) -> None:
        if not self.is_unwritable:
            self.is_unwritable = True
            log.error("The database accepts no writes reason=%s", exc)

    def _take(self) -> Connection | None:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if not _has_been_closed(connection):
                    return connection
                connection.close()
        return None

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            if not self._is_closed and not connection.closed:
                self._idle.append(connection)
                self._returned.set()
                return
        connection.close()

    def _open_or_wait(self) -> Connection:
        """Open a connection, or wait for one that is lent if there may be no more."""
        deadline = monotonic() + _WAIT_S
        while True:
            self._returned.clear()
            if connection := self._take():
                return connection
            is_last = monotonic() > deadline
            try:
                return self._open()
            except NoFreeConnection:
                if is_last:
                    raise
            self._returned.wait(_LOOK_S)

    def _open(self) -> Connection:
        if self._reason_away is None:
            return self._connect()
        if not self._reconnecting.acquire(blocking=False):
            raise DatabaseDown(self._reason_away)
        try:
            return self._connect()
        finally:
            self._reconnecting.release()

    def _connect(self) -> Connection:
        try:
            connection = self._open_examined()
        except NoFreeConnection:
            self._log_few()
            raise
        except SqlError as exc:
            if self._reason_away is None:
                log.warning("The database is unavailable reason=%s", exc)
            self._reason_away = str(exc)
            raise
        if self._reason_away is not None:
            log.info("The database is available again")
        self._reason_away = None
        return connection

    def _log_few(self) -> None:
        if not self._has_few:
            self._has_few = True
            count = len(self._lent)
            log.warning("The database has no connection for more requests connections=%d", count)

    def _open_examined(self) -> Connection:
        connection = open_connection(self._url, self._application_name)
        try:
            with translated():
                self._examine(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _close_idle(self) -> None:
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def close_stuck(self) -> None:
        """Shut down connections that have been lent for too long, so that their users fail."""
        overdue = monotonic() - _MOST_LENT_S
        for connection, since in list(self._lent.items()):
            if since < overdue and not connection.closed:
                log.error("The database does not answer, closing the connection")
                _shut_down(connection)

    def close(self) -> None:
        """Close idle connections now, and the others when they are returned."""
        self._is_closed = True
        self._close_idle()


def open_connection(url: str, application_name: str = "mangahub-notify") -> Connection:
    """Open a connection to a database whose schema is this program's.

    Raises:
        SqlError: the database is unavailable, or the schema is another one.
    """
    connection = connect(url, application_name)
    try:
        with translated():
            connection.execute(f"SET statement_timeout = '{_STATEMENT_TIMEOUT_S}s'".encode())
            require_current(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _has_been_closed(connection: Connection) -> bool:
    """Return whether an idle connection has something to read, which means that it has ended."""
    if connection.closed:
        return True
    poller = select.poll()
    poller.register(connection.fileno(), select.POLLIN)
    return bool(poller.poll(0))


def _shut_down(connection: Connection) -> None:
    """Make a thread that waits for its answer fail; the connection may be closed already."""
    with suppress(OSError, psycopg.Error):
        with socket.socket(fileno=os.dup(connection.fileno())) as end:
            end.shutdown(socket.SHUT_RDWR)
