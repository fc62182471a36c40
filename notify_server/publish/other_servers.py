"""Follows what other servers over the same database store and rotate.

LISTEN/NOTIFY is only the wake-up; the rows are the truth. `_seen` is a snapshot of the database:
all events that it saw are dealt with. After an interruption, and every half minute in case a
wake-up was lost, whatever it did not see is looked up in `notification_receipts`.
"""

from __future__ import annotations

import json
import logging
import os
import select
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic
from typing import NamedTuple
from uuid import UUID

import psycopg

import sql
from notify_server.publish.publisher import Claims, push_rows
from notify_server.store import replay
from notify_server.store.connections import Database, open_connection
from notify_server.store.notifications import CHANNEL
from notify_server.store.snapshot import Snapshot, full_xid, parse_snapshot
from notify_server.udp.server import UdpServer

log = logging.getLogger(__name__)

_WAIT_MS = 500
_CHECK_INTERVAL_S = 30.0
_RETRY_S = 0.5
_COMPLAIN_S = 60.0  # between two lines about the same outage
# No statement that stores an event takes longer, see the statement timeout; and in that time no
# more numbers are taken. So what is older than both is committed and seen.
_LONGEST_TRANSACTION = timedelta(minutes=2)
_MOST_RECEIPTS = 20_000


class _Look(NamedTuple):
    """A look at the database.

    Attributes:
        seq: the number of the newest receipt.
        receipts: events with the low half of the transaction that stored them.
    """

    now: datetime
    snapshot: Snapshot
    seq: int
    receipts: list[tuple[str, int]]


class OtherServers:
    """One thread with a connection of its own that only listens; it borrows another to ask."""

    def __init__(
        self,
        locate: Callable[[], str],
        database: Database,
        udp: UdpServer,
        claims: Claims,
        on_failure: Callable[[str], None],
    ) -> None:
        """`locate` returns the database's URL, and starts an embedded server that has stopped.

        `on_failure` is called where waiting is no use: the schema is another one.
        """
        self._locate = locate
        self._database = database
        self._udp = udp
        self._claims = claims
        self._on_failure = on_failure
        self._seen: Snapshot | None = None
        self._seen_at = datetime(9999, 1, 1, tzinfo=UTC)
        self._seen_seq = 0
        self._next_complaint = 0.0
        self._stop = threading.Event()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self.has_tried = threading.Event()
        # A daemon, so that a database that hangs cannot keep the process from leaving.
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        if self._stop.is_set():
            return
        self._stop.set()
        os.eventfd_write(self._wake, 1)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        if not self._thread.is_alive():
            os.close(self._wake)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def may_join(self) -> bool:
        """Whether events are followed: what a subscription does not see will be pushed."""
        return self._seen is not None

    # --- the thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except (sql.SchemaOutdated, sql.SchemaTooNew, sql.SchemaChanged) as exc:
                self._on_failure(str(exc))
                self.has_tried.set()
                return
            except sql.SqlError as exc:
                self._complain(exc)
            except Exception:
                log.exception("Following other servers has failed, trying again")
            self.has_tried.set()
            self._stop.wait(_RETRY_S)

    def _complain(self, exc: sql.SqlError) -> None:
        """Says at once that the database is away, and then once a minute that it still is."""
        if monotonic() >= self._next_complaint:
            log.warning("The database is away, trying again reason=%s", exc)
            self._next_complaint = monotonic() + _COMPLAIN_S

    def _follow(self) -> None:
        """Listens until the connection is lost."""
        connection = open_connection(self._locate())
        try:
            with sql.translated():
                connection.execute(f"LISTEN {CHANNEL}".encode())
                self._check()
                self.has_tried.set()
                self._next_complaint = 0.0
                log.info("Following the database")
                self._listen(connection)
        finally:
            connection.close()

    def _listen(self, connection: sql.Connection) -> None:
        next_check = monotonic() + _CHECK_INTERVAL_S
        while not self._stop.is_set():
            self._wait(connection)
            for notify in connection.notifies(timeout=0):
                self._on_payload(notify.payload)
            for event_id in self._claims.take_doubtful():
                self._push(event_id)
            if monotonic() >= next_check:
                next_check = monotonic() + _CHECK_INTERVAL_S
                self._check()

    def _wait(self, connection: sql.Connection) -> None:
        """Until something was sent, the stop, or half a second."""
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        poller.poll(_WAIT_MS)

    def _on_payload(self, payload: str) -> None:
        """Anybody who may connect can send on the channel, so nothing is taken for granted."""
        try:
            told = json.loads(payload)
            if "rotated" in told:
                self._revoke(UUID(str(told["rotated"])), int(str(told["generation"])))
            else:
                self._on_event(str(told["event_id"]), int(str(told["xid"])))
        except (ValueError, TypeError, KeyError, RecursionError):
            log.warning("Malformed message on the channel payload=%.80r", payload)

    def _on_event(self, event_id: str, xid: int) -> None:
        """A check that came first has dealt with the event, and has forgotten so."""
        if self._seen is None or not self._seen.sees(xid):
            self._push(event_id)

    def _push(self, event_id: str) -> None:
        if not self._claims.take_over(event_id):
            return
        event = self._load(event_id)
        if event is None:
            return
        self._claims.remember(event_id, event.xid)
        push_rows(self._udp, event)
        log.info("Pushed another server's event event_id=%s", event_id)

    def _load(self, event_id: str) -> replay.EventRows | None:
        """None where there is nothing to push, or nothing that can be read."""
        try:
            with self._database.connection() as connection:
                return replay.load_event(connection, event_id)
        except (sql.SqlError, psycopg.OperationalError):
            raise
        except Exception:
            log.exception("Another server's event cannot be read event_id=%s", event_id)
            return None

    def _revoke(self, user_id: UUID, generation: int) -> None:
        self._udp.post(partial(self._udp.subscriptions.revoke, user_id.bytes, generation))

    # --- what was missed -----------------------------------------------------------------------

    def _check(self) -> None:
        """Pushes what the last snapshot did not see, and only then puts a new one in its place.

        Where the database goes away on the way, the next check begins with the old one again.
        """
        before = self._seen
        with self._database.connection() as connection:
            look = self._look(connection)
        if before is not None:
            self._push_unseen(before, look)
        self._seen, self._seen_seq = look.snapshot, look.seq
        self._seen_at = look.now - _LONGEST_TRANSACTION
        if before is not None:
            self._claims.forget(look.snapshot)
            self._revoke_all()

    def _push_unseen(self, before: Snapshot, look: _Look) -> None:
        for event_id, xmin in look.receipts:
            if not before.sees(full_xid(xmin, look.snapshot)):
                self._push(event_id)

    def _look(self, connection: sql.Connection) -> _Look:
        """A new snapshot, and with it the receipts that the last one may not have seen."""
        rows = connection.execute(
            "SELECT now(), pg_current_snapshot()::text, "
            "  (SELECT coalesce(max(seq), 0) FROM notification_receipts), event_id, xid "
            "FROM (SELECT) AS always LEFT JOIN (SELECT event_id, xmin::text::bigint AS xid, seq "
            "  FROM notification_receipts WHERE seq > %s AND received_at >= %s) r ON true "
            "ORDER BY seq",
            (self._seen_seq - _MOST_RECEIPTS, self._seen_at),
        ).fetchall()
        now, snapshot, seq = rows[0][:3]
        receipts = [(event_id, xid) for *_, event_id, xid in rows if event_id is not None]
        return _Look(now, parse_snapshot(snapshot), seq, receipts)

    def _revoke_all(self) -> None:
        users = self._udp.clients.users()
        if not users:
            return
        with self._database.connection() as connection:
            generations = replay.key_generations(connection, users)
        for user, generation in generations.items():
            self._revoke(UUID(bytes=user), generation)
