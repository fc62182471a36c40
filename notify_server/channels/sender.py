"""The sender: one thread that reads what channels are owed, and keeps the sending processes busy.

LISTEN/NOTIFY only wakes it; the rows decide. One sender at a time holds the database's lock; others
wait for it. What a killed one had under way is sent once more, with the same id.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from multiprocessing.connection import wait
from time import monotonic

import sql
from mangahub import systemd
from notify_server.channels import pacing
from notify_server.channels.failures import Receipt
from notify_server.channels.processes import Processes
from notify_server.store import channel_messages
from notify_server.store.horizon import Horizon, acquire_lock
from readers.channels import store
from readers.channels.addresses import Policy
from readers.channels.messages import Delivery, Due
from readers.keys import CHANNEL

log = logging.getLogger(__name__)

PROCESSES = 16
STOP_S = 6.0  # for what is under way; below the 10 s within which a service has to end
LOOK_S = 2.0  # between two looks, unless something has happened
_PAUSE_S = 0.1  # between two looks, whatever has happened
_SKIP_S = 60.0
_RETRY_S = 1.0


class Sender:
    """Sends until it is stopped."""

    def __init__(self, locate: Callable[[], str], policy: Policy, site: str | None) -> None:
        """Take what it needs; `run` begins.

        Args:
            locate: returns the database's URL, and starts an embedded server that has stopped.
            policy: what readers' addresses may be.
            site: the website's address, where readers can reach it.
        """
        self._locate = locate
        self._policy = policy
        self._site = site
        self._processes = Processes(PROCESSES)
        self._lanes = pacing.Lanes(PROCESSES)
        self._under_way: dict[int, Due] = {}
        self._unrecorded: list[tuple[Delivery, Receipt]] = []
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._is_stopping = False

    def request_stop(self) -> None:
        """Make `run` end; a signal handler may call it."""
        self._is_stopping = True
        os.eventfd_write(self._wake, 1)

    def stop(self) -> None:
        """Kill the sending processes, and close everything."""
        self._processes.end()
        os.close(self._wake)

    def run(self) -> None:
        """Send until a stop is requested; wait for a database that is away.

        Raises:
            SqlError: the database is not one of this program's.
        """
        is_away = False
        while not self._is_stopping:
            try:
                with sql.connect(self._locate(), "mangahub-channels") as connection:
                    sql.require_current(connection)
                    is_away = False
                    self._serve(connection)
            except sql.DatabaseDown as exc:
                if not is_away:
                    log.warning("The database is unavailable, trying again reason=%s", exc)
                is_away = True
                self._rest_of_turn("Waiting for the database")

    def _rest_of_turn(self, status: str) -> None:
        """Wait a moment, alive."""
        systemd.notify(f"READY=1\nWATCHDOG=1\nSTATUS={status}")
        wait([self._wake], _RETRY_S)

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
            self._rest_of_turn("Waiting for another sender")
        return False

    # --- the loop ------------------------------------------------------------------------------

    def _send(self, connection: sql.Connection, horizon: Horizon) -> None:
        look_at, skip_at, is_complete = 0.0, monotonic() + _SKIP_S, False
        while not self._is_stopping:
            ended = self._record(connection)
            now = monotonic()
            if now >= skip_at:
                channel_messages.skip_unwanted(connection, horizon)
                skip_at = now + _SKIP_S
            if now >= look_at or ended:
                is_complete = horizon.look(connection)
                self._begin(connection, horizon)
                look_at = monotonic() + (LOOK_S if is_complete else _PAUSE_S)
            if self._rest(connection, max(0.0, look_at - monotonic())):
                look_at = min(look_at, monotonic() + _PAUSE_S)
            systemd.notify("WATCHDOG=1")

    def _begin(self, connection: sql.Connection, horizon: Horizon) -> None:
        """Begin as many deliveries as there is room for."""
        for test in channel_messages.load_tests(connection, self._policy):
            if test.channel_id not in self._under_way and self._room() > 0:
                self._start(test, Due(test.channel_id, test.server, 0, False, None))
        chosen = self._choose(connection, horizon) if self._room() > 0 else {}
        now = datetime.now(UTC)
        sizes = {id: pacing.size_of_message(due, now) for id, due in chosen.items()}
        for delivery in channel_messages.begin_messages(
            connection, horizon, sizes, self._policy, self._site
        ):
            self._start(delivery, chosen[delivery.channel_id])

    def _choose(self, connection: sql.Connection, horizon: Horizon) -> dict[int, Due]:
        """Return the channels that are sent something now."""
        running = list(self._under_way.values())
        counts = Counter(due.server for due in running)
        full = [server for server, count in counts.items() if count >= self._lanes.of_server]
        due = channel_messages.find_due(
            connection, horizon, list(self._under_way), full, 2 * PROCESSES
        )
        return {each.channel_id: each for each in pacing.choose(due, running, self._lanes)}

    def _room(self) -> int:
        return PROCESSES - len(self._under_way)

    def _start(self, delivery: Delivery, due: Due) -> None:
        self._under_way[delivery.channel_id] = due
        if delivery.reaches is not None and not delivery.message.news:
            self._unrecorded.append((delivery, Receipt()))  # its title was deleted
            return
        try:
            self._processes.start(delivery)
        except OSError as exc:
            log.error("No process can be started reason=%s", exc.strerror)
            receipt = Receipt("the server has no process left for it")
            self._unrecorded.append((delivery, receipt))

    def _record(self, connection: sql.Connection) -> int:
        """Record what has ended; return how many deliveries that were."""
        self._unrecorded += self._processes.collect()
        count = 0
        while self._unrecorded:
            delivery, receipt = self._unrecorded[0]
            self._note(connection, delivery, receipt)
            self._unrecorded.pop(0)
            self._under_way.pop(delivery.channel_id, None)
            count += 1
        return count

    def _note(self, connection: sql.Connection, delivery: Delivery, receipt: Receipt) -> None:
        if delivery.reaches is None:
            store.note_test(connection, delivery.channel_id, receipt.error)
            log.info(
                "Tested a channel channel=%d reason=%s", delivery.channel_id, receipt.error or "-"
            )
        elif receipt.error is None:
            channel_messages.note_success(connection, delivery)
            log.info("Sent channel=%d message=%s", delivery.channel_id, delivery.message.id)
        else:
            self._note_failure(connection, delivery, receipt.error, receipt.retry_after_s)

    def _note_failure(
        self,
        connection: sql.Connection,
        delivery: Delivery,
        error: str,
        retry_after_s: float | None,
    ) -> None:
        now = datetime.now(UTC)
        since = delivery.failing_since or now
        again_at = pacing.next_attempt(delivery.attempts + 1, since, retry_after_s, now)
        channel_messages.note_failure(connection, delivery, error, again_at)
        log.warning(
            "%s channel=%d message=%s attempts=%d reason=%s",
            "Paused a channel" if again_at is None else "Not sent, trying again",
            delivery.channel_id,
            delivery.message.id,
            delivery.attempts + 1,
            error,
        )

    # --- waiting -------------------------------------------------------------------------------

    def _rest(self, connection: sql.Connection, timeout_s: float) -> bool:
        """Wait for news, a delivery's end or the stop; return whether there is news."""
        database = connection.fileno()
        ready = wait([database, self._wake, *self._processes.connections], timeout_s)
        return database in ready and bool(list(connection.notifies(timeout=0)))

    def _finish(self, connection: sql.Connection) -> None:
        """Wait for what is under way, and record it."""
        systemd.notify("STOPPING=1")
        deadline = monotonic() + STOP_S
        while self._processes.connections and monotonic() < deadline:
            wait(self._processes.connections, deadline - monotonic())
            self._record(connection)
        self._record(connection)
