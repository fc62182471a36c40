"""Goes on with events that have more recipients than one portion of rows."""

from __future__ import annotations

import logging
import threading

import psycopg

import sql
from notify_server.errors import NotifyError
from notify_server.publish.publisher import Publisher
from notify_server.store.notifications import EventOutcome
from notify_server.store.unfinished import choose_next

log = logging.getLogger(__name__)

_LOOK_S = 1.0  # for what another server has left unfinished
_RETRY_S = 0.5
# Recipients that channels may have to look up before more rows are stored: memory is bounded.
_MAX_BACKLOG = 20_000
_BACKLOG_S = 0.005


class Finisher:
    """One thread that stores portion by portion, of this server's events and of abandoned ones."""

    def __init__(self) -> None:
        self._own: set[str] = set()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._publisher: Publisher | None = None
        # A daemon, so that a database that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._run, name="finisher", daemon=True)

    def start(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """End after the portion under way; this server or another one goes on later."""
        self._stop.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def add(self, event_id: str) -> None:
        """Go on with this event; any thread may call it."""
        with self._lock:
            self._own.add(event_id)
        self._wake.set()

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        assert self._publisher is not None
        while not self._stop.is_set():
            self._wake.clear()
            pause_s = _LOOK_S
            try:
                while not self._stop.is_set() and self._store_some(self._publisher):
                    pass
            except (sql.SqlError, psycopg.OperationalError, NotifyError) as exc:
                log.debug("An event cannot be finished yet reason=%s", exc)
                pause_s = _RETRY_S
            except Exception:
                log.exception("Unexpected error, an event is not finished yet")
            self._wake.wait(pause_s)

    def _store_some(self, publisher: Publisher) -> bool:
        """Store one portion, or wait for the channels; return whether there may be more to do."""
        if max(channel.backlog for channel in publisher.channels) > _MAX_BACKLOG:
            self._stop.wait(_BACKLOG_S)
            return True
        with self._lock:
            own = set(self._own)
        with publisher.database.connection() as connection:
            unfinished = choose_next(connection, own)
        if unfinished is None:
            with self._lock:
                self._own -= own  # finished, or another server goes on with them
            return False
        result = publisher.publish_more(unfinished)
        is_stored = result.outcome is EventOutcome.STORED
        if is_stored and result.is_unfinished:
            self.add(unfinished.event.event_id)
        return is_stored
