"""Who is sent what, and when: windows, retransmission, replay before news. No I/O of its own.

Belongs to the UDP thread. A client's notifications pass through three places: its replay (ids
of rows, and what is new meanwhile), its queue, and the window of what is in flight:

    fan_out ──┬─────────────────────────────► in flight ── ACK ──► marks
              └─► replay.later ─► queue ──────────▲
    replay.ids ── database thread loads ──► queue ─────────┘

Memory is bounded since rows are the truth: a client whose queue would grow too long is skipped,
and gets the rest from the database when it has caught up.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from notify_server.store.snapshot import Snapshot
from notify_server.udp.clients import Client, Clients, InFlight, Replay
from notify_server.udp.retries import OFFSETS_S, Congestion, Due, Retries
from notify_server.udp.sendmmsg import CAPACITY
from notify_server.udp.stats import Stats
from notify_server.wire.datagram import DatagramTemplate

WINDOW = 32
PAGE = 64
# A client without ACK gets its replay in such portions, so that its socket's buffer can follow.
_PORTION = 64
PORTION_INTERVAL_S = 0.01
_MAX_QUEUE = 1_000
_MAX_QUEUED = 300_000
_TRICKLE_S = 0.02  # between two portions while the receivers fall behind
_ROW = struct.Struct(">q16s")


class Outgoing(Protocol):
    """Where datagrams are collected until they are sent together."""

    def __len__(self) -> int: ...

    def add(self, datagram: bytes, name: bytes) -> None: ...

    def flush(self) -> list[int]: ...


class Rows(Protocol):
    """Where ids go whose rows are to be marked, and requests for rows."""

    def mark(self, acknowledged: list[int], read: list[int]) -> None: ...

    def request_page(self, client: Client, ids: list[int]) -> None: ...


class Fanout:
    """One event on its way to the clients of this server.

    Attributes:
        rows: packed as the database returned them, since there may be very many.
        xid: the transaction that stored the rows.
        position: where in `rows` the next recipient is.
    """

    __slots__ = ("position", "rows", "template", "xid")

    def __init__(self, template: DatagramTemplate, rows: bytes, xid: int) -> None:
        self.template = template
        self.rows = rows
        self.xid = xid
        self.position = 0


class Delivery:
    """Sends notifications to clients and follows them until they are acknowledged."""

    def __init__(
        self, clients: Clients, database_thread: Rows, outgoing: Outgoing, stats: Stats
    ) -> None:
        self._clients = clients
        self._database_thread = database_thread
        self._outgoing = outgoing
        self._stats = stats
        # Clients without ACK in the message vector, by their place in it.
        self._plain: list[tuple[int, Client, int]] = []
        self._congestion = Congestion()
        self._fanouts: deque[Fanout] = deque()
        # Recipients of events that have not been looked at yet; read by other threads too.
        self.pending = 0
        self._next_trickle = 0.0
        self._retries = Retries()
        # Of this portion; one random delay for all of it.
        self._first_retries: list[Due] = []
        self._portioned: dict[Client, None] = {}
        self._next_portion = 0.0
        self._acknowledged: list[int] = []
        self._read: list[int] = []
        self.queued = 0
        self.request_unread: Callable[[Client], None] = _cannot_ask

    # --- news ----------------------------------------------------------------------------------

    def fan_out(self, fanout: Fanout) -> None:
        self._fanouts.append(fanout)
        self.pending += len(fanout.rows) // _ROW.size

    def has_work(self, now: float) -> bool:
        """Whether `send_some` would send something now."""
        return bool(self._retries or (self._fanouts and not self._must_wait(now)))

    def _must_wait(self, now: float) -> bool:
        return now < self._next_trickle and self._congestion.is_high(now)

    @property
    def has_resends(self) -> bool:
        return bool(self._retries)

    def send_some(self, now: float, limit: int) -> None:
        """Deals with up to `limit` recipients, so that ACKs are read in between."""
        self._resend_some(now, limit)
        if not self._fanouts or self._must_wait(now):
            return
        self._next_trickle = now + _TRICKLE_S
        fanout = self._fanouts[0]
        end = min(fanout.position + limit * _ROW.size, len(fanout.rows))
        before = self._stats.sent
        self._first_retries = self._retries.bucket(1, now)
        for id, user in _ROW.iter_unpack(fanout.rows[fanout.position : end]):
            for client in self._clients.of(user):
                self._deliver(client, id, fanout.template, fanout.xid, now)
        self._flush_outgoing()
        if fanout.template.received is not None and self._stats.sent > before:
            self._stats.to_send.observe(now - fanout.template.received, self._stats.sent - before)
        self.pending -= (end - fanout.position) // _ROW.size
        fanout.position = end
        if end >= len(fanout.rows):
            self._fanouts.popleft()

    def _deliver(
        self, client: Client, id: int, template: DatagramTemplate, xid: int, now: float
    ) -> None:
        snapshot = client.snapshot
        if client.is_behind or (snapshot is not None and snapshot.sees(xid)):
            return
        if client.replay is not None:
            self._keep_for_later(client, client.replay, (id, template, xid))
        elif client.queue or (client.ack and len(client.in_flight) >= WINDOW):
            self._enqueue(client, id, template)
        else:
            self._launch(client, id, template, now)

    def _keep_for_later(
        self, client: Client, replay: Replay, item: tuple[int, DatagramTemplate, int]
    ) -> None:
        if len(replay.later) >= _MAX_QUEUE or self.queued >= _MAX_QUEUED:
            client.is_behind = True
            return
        replay.later.append(item)
        self.queued += 1

    def _enqueue(self, client: Client, id: int, template: DatagramTemplate) -> None:
        if client.queue is None:
            client.queue = deque()
        if len(client.queue) >= _MAX_QUEUE or self.queued >= _MAX_QUEUED:
            client.is_behind = True
            return
        client.queue.append((id, template))
        self.queued += 1

    def _launch(self, client: Client, id: int, template: DatagramTemplate, now: float) -> None:
        """Sends a notification for the first time."""
        if client.ack:
            if id in client.in_flight:
                return
            flight = InFlight(id, template, now)
            client.in_flight[id] = flight
            self._first_retries.append((client, flight))
        self._put_out(client, id, template)
        if not client.ack:
            self._plain.append((len(self._outgoing) - 1, client, id))

    def _put_out(self, client: Client, id: int, template: DatagramTemplate) -> None:
        if len(self._outgoing) == CAPACITY:
            self._flush_outgoing()
        datagram = b"%b%d%b%b" % (template.head, id, template.tail, client.suffix)
        self._outgoing.add(datagram, client.name)

    def _flush_outgoing(self) -> None:
        """Sends what was collected; what went to clients without ACK is read now."""
        count = len(self._outgoing)
        if not count:
            return
        failed = self._outgoing.flush()
        self._stats.sent += count - len(failed)
        self._stats.send_errors += len(failed)
        for place, client, id in self._plain:
            if place not in failed:
                self._settle_plain(client, id)
        self._plain.clear()

    def _settle_plain(self, client: Client, id: int) -> None:
        if client.replay is not None:
            client.replay.settled.add(id)
        if not self._clients.has_acknowledging(client.user):
            self._read.append(id)

    # --- ACKs and retransmission ---------------------------------------------------------------

    def acknowledge(self, client: Client, ids: Iterable[int], now: float) -> None:
        """Settles what is in flight to this very client; other ids change nothing."""
        for id in ids:
            flight = client.in_flight.pop(id, None)
            if flight is None:
                continue
            self._acknowledged.append(id)
            self._stats.acknowledged += 1
            if client.replay is not None:
                client.replay.settled.add(id)
            if flight.tries == 1:
                self._congestion.on_ack(client, now - flight.first_sent, now)
            if flight.template.received is not None:
                self._stats.to_ack.observe(now - flight.template.received)
        if client.queue or client.replay is not None or client.is_behind:
            self.pump(client, now)

    def run_timers(self, now: float) -> None:
        """Puts what is overdue in line for sending again; sends due portions."""
        self._retries.advance(now)
        if self._portioned and now >= self._next_portion:
            self._next_portion = now + PORTION_INTERVAL_S
            for client in list(self._portioned):
                del self._portioned[client]
                self.pump(client, now)

    @property
    def is_timing(self) -> bool:
        return self._retries.is_timing

    @property
    def has_portions(self) -> bool:
        return bool(self._portioned)

    def _resend_some(self, now: float, limit: int) -> None:
        for client, flight in self._retries.take(limit):
            if client.is_gone:  # by the one before
                continue
            if flight.tries > len(OFFSETS_S):
                self._stats.clients_dropped += 1
                self.drop(client)
                continue
            flight.tries += 1
            self._stats.retransmitted += 1
            self._put_out(client, flight.id, flight.template)
            self._retries.bucket(flight.tries, flight.first_sent).append((client, flight))
        self._flush_outgoing()

    def drop(self, client: Client) -> None:
        """Forgets the client; what it has not acknowledged stays unread."""
        self._clients.remove(client)
        self.discard(client)

    def discard(self, client: Client) -> None:
        """Gives back what is held for a client that is gone."""
        self.queued -= len(client.queue or ()) + (len(client.replay.later) if client.replay else 0)
        client.queue = None
        client.replay = None
        client.in_flight.clear()
        self._portioned.pop(client, None)

    # --- replay --------------------------------------------------------------------------------

    def begin_replay(self, client: Client, ids: list[int], snapshot: Snapshot, now: float) -> None:
        """Takes over the answer of the query for unread rows, oldest first.

        What is on its way to this client, or was settled after the query was asked for, is left
        out; so is what arrived live meanwhile if the query saw it too.
        """
        replay = client.replay or Replay()
        client.replay = replay
        known = client.in_flight.keys() | {id for id, _ in client.queue or ()} | replay.settled
        replay.ids = deque(id for id in ids if id not in known)
        replay.settled.clear()
        kept = [item for item in replay.later if not snapshot.sees(item[2])]
        self.queued -= len(replay.later) - len(kept)
        replay.later = kept
        client.snapshot = snapshot
        self.pump(client, now)

    def end_replay(self, client: Client, now: float) -> None:
        """Goes on with what is new, when the database could not be asked."""
        if client.replay is not None:
            client.replay.ids = deque()
            self.pump(client, now)

    def give_up_replay(self, client: Client) -> None:
        """What is missing is asked for again the next time that the client is looked after."""
        if client.replay is not None:
            self.queued -= len(client.replay.later)
        client.replay = None
        client.is_behind = True

    def take_page(
        self, client: Client, rows: list[tuple[int, DatagramTemplate]], now: float
    ) -> None:
        """Queues the loaded rows."""
        if client.is_gone or client.replay is None:
            return
        client.replay.is_loading = False
        client.queue = client.queue if client.queue is not None else deque()
        client.queue.extend(rows)
        self.queued += len(rows)
        self._stats.replayed += len(rows)
        if client.ack:
            self.pump(client, now)
        else:
            self._portioned[client] = None

    def retry_page(self, client: Client, ids: list[int]) -> None:
        """Puts the ids back that could not be loaded; the next `pump` asks again."""
        if client.replay is not None and client.replay.ids is not None:
            client.replay.ids.extendleft(reversed(ids))
            client.replay.is_loading = False

    def pump(self, client: Client, now: float) -> None:
        """Sends what the window allows, and asks for more where the queue runs low."""
        room = WINDOW - len(client.in_flight) if client.ack else _PORTION
        self._first_retries = self._retries.bucket(1, now)
        while room > 0 and client.queue:
            id, template = client.queue.popleft()
            self.queued -= 1
            self._launch(client, id, template, now)
            room -= 1
        self._flush_outgoing()
        if client.replay is not None:
            self._advance(client, client.replay, now)
        elif client.is_behind and not client.queue:
            self._catch_up(client)
        if client.queue and not client.ack:
            self._portioned[client] = None

    def _advance(self, client: Client, replay: Replay, now: float) -> None:
        if replay.ids is None or replay.is_loading or len(client.queue or ()) > PAGE // 2:
            return
        if replay.ids:
            replay.is_loading = True
            page = [replay.ids.popleft() for _ in range(min(PAGE, len(replay.ids)))]
            self._database_thread.request_page(client, page)
            return
        client.replay = None
        if replay.later:
            client.queue = client.queue if client.queue is not None else deque()
            client.queue.extend((id, template) for id, template, _ in replay.later)
        if client.queue or client.is_behind:
            self.pump(client, now)

    def _catch_up(self, client: Client) -> None:
        """Asks the database for what the client was not sent when its queue was full."""
        client.is_behind = False
        self.flush_marks()
        self.request_unread(client)

    # --- marks ---------------------------------------------------------------------------------

    def flush_marks(self) -> None:
        """Hands over the ids to be marked; before every query for unread rows, too."""
        if self._acknowledged or self._read:
            self._database_thread.mark(self._acknowledged, self._read)
            self._acknowledged, self._read = [], []

    @property
    def has_marks(self) -> bool:
        return bool(self._acknowledged or self._read)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be sent or acknowledged."""
        is_sending = self._fanouts or self._retries
        return not is_sending and not any(c.in_flight or c.queue for c in self._clients)


def _cannot_ask(client: Client) -> None:
    raise RuntimeError("request_unread is not connected")
