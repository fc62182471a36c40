"""Follows what other servers on the same database store and rotate.

LISTEN/NOTIFY only wakes the thread up; the rows decide. The last look at the database says what has
been pushed. After an interruption, and every half minute in case a wake-up was lost, a new look
finds what the last one did not see.
"""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections.abc import Callable, Sequence
from time import monotonic
from uuid import UUID

import psycopg

import sql
from notify_server.publish.channels import Channel
from notify_server.publish.claims import Claims
from notify_server.publish.history import History
from notify_server.store import receipts
from notify_server.store.notifications import StoredEvent
from notify_server.store.read_marks import ReadMarks
from notify_server.store.receipts import Portion
from readers.keys import CHANNEL
from sql.connections import Database, open_connection
from sql.snapshot import Snapshot

log = logging.getLogger(__name__)

_WAIT_MS = 500
_LOOK_INTERVAL_S = 30.0
_RETRY_S = 0.5
_LOG_AGAIN_S = 60.0  # between two lines about the same outage


class OtherServers:
    """One thread with a connection that only listens; it borrows another one for queries.

    Attributes:
        has_tried: set once the database was reached, or could not be.
        is_following: set once everything that is stored from now on will be pushed.
    """

    def __init__(
        self,
        locate: Callable[[], str],
        database: Database,
        history: History,
        claims: Claims,
        channels: Sequence[Channel],
        is_following: threading.Event,
        on_look: Callable[[sql.Connection], None],
        on_failure: Callable[[str], None],
    ) -> None:
        """Take what the thread needs; `start` starts it.

        Args:
            locate: returns the database's URL, and starts an embedded server that has stopped.
            on_look: called with a connection every half minute.
            on_failure: called with the reason if it is not a database of this program's.
        """
        self._locate = locate
        self._database = database
        self._claims = claims
        self._channels = channels
        self._on_look = on_look
        self._on_failure = on_failure
        self._history = history
        self._read_marks = ReadMarks()
        self._log_again_at = 0.0
        self._stop = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self.has_tried = threading.Event()
        self.is_following = is_following
        # A daemon, so that a database that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="other-servers", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._stop.set()
        os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            os.close(self._wake)

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (
                sql.Unsuitable,
                sql.SchemaOutdated,
                sql.SchemaTooNew,
                sql.SchemaChanged,
            ) as exc:
                self._on_failure(str(exc))
                self.has_tried.set()
                return
            except sql.SqlError as exc:
                self._log_outage(exc)
            except Exception:
                log.exception("Unexpected error while following other servers, trying again")
            self.has_tried.set()
            self._stop.wait(_RETRY_S)

    def _log_outage(self, exc: sql.SqlError) -> None:
        """Log at once that the database is unavailable, and then once a minute that it still is."""
        if monotonic() >= self._log_again_at:
            log.warning("The database is unavailable, trying again reason=%s", exc)
            self._log_again_at = monotonic() + _LOG_AGAIN_S

    def _follow(self) -> None:
        """Follow until the stop or the loss of the connection."""
        connection = open_connection(self._locate())
        try:
            with sql.translated():
                connection.execute(f"LISTEN {CHANNEL}".encode())
                was_interrupted = self.is_following.is_set()
                self._look()
                if was_interrupted:
                    for channel in self._channels:
                        channel.catch_up()
                self.has_tried.set()
                self._log_again_at = 0.0
                log.info("Listening for other servers' events")
                self._listen(connection)
        finally:
            connection.close()

    def _listen(self, connection: sql.Connection) -> None:
        look_at = monotonic() + _LOOK_INTERVAL_S
        while not self._stop.is_set():
            self._wait(connection)
            for notify in connection.notifies(timeout=0):
                self._on_payload(notify.payload)
            for event_id, seen in self._claims.take_unsettled().items():
                self._find_and_push(event_id, None, seen)
            if monotonic() >= look_at:
                look_at = monotonic() + _LOOK_INTERVAL_S
                self._look()

    def _wait(self, connection: sql.Connection) -> None:
        """Wait for a message or the stop, half a second at most."""
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        poller.poll(_WAIT_MS)

    def _look(self) -> None:
        """Push what the last look did not see, and then replace it.

        If the connection is lost meanwhile, the next look starts from the same one again.
        """
        with self._database.connection() as connection:
            look = receipts.look(connection, self._history.last)
            self._on_look(connection)
            self._read_marks.advance(connection)
        for portion in look.unseen:
            self._push(portion)
        self._revoke(look.generations)
        self._claims.forget(look.snapshot)
        self._history.last = look
        self.is_following.set()

    def _on_payload(self, payload: str) -> None:
        """Act on a message; anyone who may connect can send one, so it may be anything."""
        try:
            message = json.loads(payload)
            if "rotated" in message:
                user_id, generation = UUID(str(message["rotated"])), int(str(message["generation"]))
                self._revoke({user_id.bytes: generation})
            else:
                id = message.get("portion")
                portion_id = None if id is None else int(str(id))
                self._on_event(str(message["event_id"]), int(str(message["xid"])), portion_id)
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("Malformed message on the channel payload=%.80r", payload)

    def _on_event(self, event_id: str, xid: int, portion_id: int | None) -> None:
        """Push the event, unless the last look saw it: then it was pushed, and is forgotten."""
        seen = self._history.last.snapshot if self._history.last else None
        is_seen = seen is not None and seen.sees(xid)
        if not is_seen and self._claims.acquire(event_id, xid):
            self._find_and_push(event_id, portion_id, seen)

    def _find_and_push(self, event_id: str, portion_id: int | None, seen: Snapshot | None) -> None:
        """Push this portion of the event, or all that the snapshot has not seen."""
        with self._database.connection() as connection:
            portions = receipts.find_portions(connection, event_id, portion_id)
        for portion in portions:
            if seen is None or not seen.sees(portion.xid):
                self._push(portion)

    def _push(self, portion: Portion) -> None:
        event_id, xid = portion.event_id, portion.xid
        if not self._claims.acquire(event_id, xid):
            return
        parts = self._load(portion)
        self._claims.remember(event_id, xid)
        for part in parts:
            for channel in self._channels:
                channel.push(part)
        log.info("Pushed another server's event event_id=%s", event_id)

    def _load(self, portion: Portion) -> list[StoredEvent]:
        """Return the portion's parts; none if there is nothing to push, or it cannot be read."""
        try:
            with self._database.connection() as connection:
                return receipts.load_portion(connection, portion)
        except (sql.SqlError, psycopg.OperationalError):
            raise
        except Exception:
            log.exception("Unexpected error, an event cannot be read event_id=%s", portion.event_id)
            return []

    def _revoke(self, generations: dict[bytes, int]) -> None:
        for channel in self._channels:
            if generations:
                channel.revoke_keys(generations)
