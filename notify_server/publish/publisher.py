"""Events on their way in: stored first, then handed to the UDP thread, each by one path only.

Several servers over one database hear of each other's events through LISTEN/NOTIFY, and of their
own too. `Claims` decides who pushes an event here: the request that stores it, or `OtherServers`.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from functools import partial
from time import monotonic

import psycopg

from notify_server.errors import TooBusy, Unstorable
from notify_server.events.kinds import Event
from notify_server.store import notifications
from notify_server.store.connections import Database
from notify_server.store.notifications import EventOutcome, Stored
from notify_server.store.replay import EventRows
from notify_server.store.snapshot import Snapshot
from notify_server.udp.delivery import Fanout
from notify_server.udp.server import UdpServer
from notify_server.wire import protocol
from notify_server.wire.datagram import make_template

# Recipients that may wait to be sent to: 12 MB.
_MAX_PENDING = 500_000
_ROW_BYTES = 24
_ATTEMPTS = 3
# What speaks of one event: its values, the keys and index entries of its rows, another program's
# trigger. The schema may have been another's before, with rules that this program has not made.
_REFUSALS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.RaiseException,
)


class Claims:
    """Events that were pushed here, or are about to be. Used by requests and `OtherServers`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claimed: Counter[str] = Counter()
        self._deferred: set[str] = set()
        self._pushed: dict[str, int] = {}
        self._doubtful: set[str] = set()

    def claim(self, event_id: str) -> None:
        """A request is about to store the event, and will push it if it did."""
        with self._lock:
            self._claimed[event_id] += 1

    def settle(self, event_id: str, xid: int | None, is_certain: bool = True) -> None:
        """The request is done.

        Args:
            xid: the transaction that stored the event, None where this request stored nothing.
            is_certain: False where the answer to the statement was lost.
        """
        with self._lock:
            self._claimed[event_id] -= 1
            if self._claimed[event_id] <= 0:
                del self._claimed[event_id]
            if xid is not None:
                self._pushed[event_id] = xid
                self._deferred.discard(event_id)
            elif not is_certain:
                self._doubtful.add(event_id)
            elif event_id in self._deferred and event_id not in self._claimed:
                self._deferred.discard(event_id)
                self._doubtful.add(event_id)

    def take_over(self, event_id: str) -> bool:
        """Whether `OtherServers` is to push the event that it has heard of."""
        with self._lock:
            if event_id in self._pushed:
                return False
            if event_id in self._claimed:
                self._deferred.add(event_id)
                return False
            return True

    def remember(self, event_id: str, xid: int) -> None:
        """`OtherServers` has pushed the event."""
        with self._lock:
            self._pushed[event_id] = xid

    def take_doubtful(self) -> set[str]:
        """Events that may have been stored although nobody pushed them."""
        with self._lock:
            doubtful, self._doubtful = self._doubtful, set()
        return doubtful

    def forget(self, snapshot: Snapshot) -> None:
        """Drops what no question will ever be asked about again: all that the snapshot saw."""
        with self._lock:
            self._pushed = {e: xid for e, xid in self._pushed.items() if not snapshot.sees(xid)}


class Publisher:
    """Stores events and has them pushed."""

    def __init__(self, database: Database, udp: UdpServer, claims: Claims) -> None:
        self._database = database
        self._udp = udp
        self._claims = claims

    def accept(self, event: Event, received: float | None = None) -> Stored:
        """Stores the event, committed on return, and hands it to the UDP thread.

        Args:
            received: monotonic time of the POST.

        Raises:
            TooBusy: too much waits to be sent; nothing was stored.
            DatabaseDown, DatabaseUnwritable: nothing was accepted.
            Unstorable: the database refuses this event.
        """
        if self._udp.delivery.pending >= _MAX_PENDING:
            raise TooBusy("too many notifications wait to be sent: try again in a second")
        started = monotonic() if received is None else received
        xid, is_certain = None, False
        self._claims.claim(event.event_id)
        try:
            stored = self._store(event)
            is_certain = True
            if stored.outcome is EventOutcome.STORED:
                self._push(event, stored, started)
                xid = stored.xid
            return stored
        finally:
            self._claims.settle(event.event_id, xid, is_certain)

    def _store(self, event: Event) -> Stored:
        try:
            return self._store_patiently(event)
        except _REFUSALS as exc:
            reason = " ".join(str(exc.diag.message_primary or exc).split())
            raise Unstorable(f"the database refuses it: {reason}") from exc

    def _store_patiently(self, event: Event) -> Stored:
        """Once more where a user or the title was deleted just now."""
        for _ in range(_ATTEMPTS - 1):
            with suppress(psycopg.errors.ForeignKeyViolation):
                return self._store_once(event)
        return self._store_once(event)

    def _store_once(self, event: Event) -> Stored:
        with self._database.connection() as connection:
            return notifications.store_event(connection, event)

    def _push(self, event: Event, stored: Stored, received: float) -> None:
        if not stored.rows:
            return
        template = make_template(
            event.datagram_type,
            event.manga_id,
            event.title,
            event.message,
            protocol.timestamp(stored.created_at),
            event.data,
            list(event.changes),
            received,
        )
        push_rows(self._udp, EventRows(template, stored.xid, stored.rows))


def push_rows(udp: UdpServer, event: EventRows) -> None:
    """Has the event sent to the recipients who are connected here.

    Who subscribes from now on sees the rows in the database, so looking now is not too early.
    """
    rows = event.rows
    clients = udp.clients
    if len(rows) // _ROW_BYTES > 2 * len(clients):
        starts = range(0, len(rows), _ROW_BYTES)
        rows = b"".join(
            rows[i : i + _ROW_BYTES] for i in starts if clients.has_user(rows[i + 8 : i + 24])
        )
    if rows:
        udp.post(partial(udp.delivery.fan_out, Fanout(event.template, rows, event.xid)))
