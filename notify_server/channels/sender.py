"""The sender: one thread that reads what channels are owed, and keeps the sending processes busy.

LISTEN/NOTIFY only wakes it; the rows decide. One sender at a time holds the database's lock; others
wait for it. What a killed one had under way is sent once more, with the same id.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from multiprocessing.connection import wait
from time import monotonic

import psycopg

import sql
from mangahub import systemd
from notify_server.channels.deliveries import PROCESSES, Deliveries
from notify_server.store import channel_messages
from notify_server.store.horizon import Horizon, acquire_lock
from readers.channels import store
from readers.channels.addresses import Policy
from readers.keys import CHANNEL

log = logging.getLogger(__name__)

STOP_S = 6.0  # for what is under way; below the 10 s within which a service has to end
LOOK_S = 2.0  # between two looks, unless something has happened
# After news: whoever stored it pushes it over UDP first, and it takes two looks to be complete.
_HOLD_S = 0.1
# After the end of a delivery: others that end soon are recorded together with it.
_GATHER_S = 0.02
_SKIP_S = 60.0
_RETRY_S = 1.0


class Sender:
    """Sends until it is stopped."""

    def __init__(self, locate: Callable[[], str], policy: Policy, site: str | None) -> None:
        """Take what it needs; `run` begins.

        Args:
            locate: returns the database's URL, and starts an embedded server that has stopped.
            policy, site: see `Deliveries`.
        """
        self._locate = locate
        self._deliveries = Deliveries(policy, site)
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._is_stopping = False
        self._is_away = False

    def request_stop(self) -> None:
        """Make `run` end; a signal handler may call it."""
        self._is_stopping = True
        os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """Kill the sending processes, and close everything."""
        self._deliveries.end()
        os.close(self._wake)

    def run(self) -> None:
        """Send until a stop is requested; wait for a database that is away.

        Raises:
            SqlError: the database is not one of this program's.
        """
        while not self._is_stopping:
            try:
                with sql.connect(self._locate(), "mangahub-channels") as connection:
                    sql.require_current(connection)
                    self._serve(connection)
                    continue
            # What has ended and could not be recorded is kept: after a new start it would be sent
            # again.
            except (sql.DatabaseDown, sql.DatabaseUnwritable) as exc:
                if not self._is_away:
                    log.warning("The database is unavailable, trying again reason=%s", exc)
                self._is_away = True
            except psycopg.Error:
                log.exception("Unexpected error while sending to channels, trying again")
            self._wait_alive("Waiting for the database")

    def _serve(self, connection: sql.Connection) -> None:
        with sql.translated():
            connection.execute(f"LISTEN {CHANNEL}".encode())
            connection.execute(f"LISTEN {store.WAKE}".encode())
            if not self._await_lock(connection):
                return
            log.info("Sending to channels processes=%d", PROCESSES)
            systemd.notify("READY=1\nSTATUS=Sending")
            self._send(connection, Horizon())
            self._finish(connection)

    def _await_lock(self, connection: sql.Connection) -> bool:
        """Return whether the lock was acquired; false when a stop was requested."""
        is_told = False
        while not self._is_stopping:
            if acquire_lock(connection):
                return True
            if not is_told:
                log.info("Another sender works on this database, waiting for its end")
                is_told = True
            self._wait_alive("Waiting for another sender")
        return False

    def _wait_alive(self, status: str) -> None:
        systemd.notify(f"READY=1\nWATCHDOG=1\nSTATUS={status}")
        wait([self._wake], _RETRY_S)

    # --- the loop ------------------------------------------------------------------------------

    def _send(self, connection: sql.Connection, horizon: Horizon) -> None:
        look_at, skip_at = 0.0, monotonic() + _SKIP_S
        while not self._is_stopping:
            has_ended = self._deliveries.record(connection)
            if monotonic() >= skip_at:
                channel_messages.skip_unwanted(connection, horizon)
                skip_at = monotonic() + _SKIP_S
            if monotonic() >= look_at or (has_ended and self._deliveries.needs_look):
                is_complete = horizon.look(connection)
                self._deliveries.look(connection, horizon)
                look_at = monotonic() + (LOOK_S if is_complete else _HOLD_S)
            self._deliveries.begin(connection, horizon)
            self._is_away = False
            if self._rest(connection, max(0.0, look_at - monotonic())):
                look_at = 0.0
            systemd.notify("WATCHDOG=1")

    def _rest(self, connection: sql.Connection, timeout_s: float) -> bool:
        """Wait for news, a delivery's end or the stop; return whether there is news."""
        ready = wait([connection.fileno(), self._wake, *self._deliveries.connections], timeout_s)
        is_news = bool(list(connection.notifies(timeout=0)))
        if ready:
            wait([self._wake], _HOLD_S if is_news else _GATHER_S)
        return is_news

    def _finish(self, connection: sql.Connection) -> None:
        """Wait for what is under way, and record it."""
        systemd.notify("STOPPING=1")
        deadline = monotonic() + STOP_S
        while self._deliveries.connections and monotonic() < deadline:
            wait(self._deliveries.connections, deadline - monotonic())
            self._deliveries.record(connection)
        self._deliveries.record(connection)
