"""Delivery to clients: fan-out, windows, retries, ACKs. No I/O of its own.

Belongs to the UDP thread. A client's notifications pass through its replay (ids of rows, and what
is new in the meantime), its queue, and the window of what is in flight:

    fan_out ──┬───────────────────────────────────► in flight ── ACK ──► marks
              └─► replay.later ─► queue ────────────────▲
    replay.ids ── database thread loads ──► queue ──────┘
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import islice

from notify_server.udp.clients import Client, Clients, InFlight
from notify_server.udp.congestion import Congestion
from notify_server.udp.database_requests import DatabaseRequests
from notify_server.udp.replay import Replays
from notify_server.udp.retries import OFFSETS_S, Due, Retries
from notify_server.udp.sockets import CAPACITY, MessageVector
from notify_server.udp.stats import Figures, Stats
from readers.datagram import DatagramTemplate
from readers.recipients import Recipients

WINDOW = 32
# A client without ACKs gets its replay in portions, which its socket's buffer can hold.
_PORTION = 64
_PORTION_INTERVAL_S = 0.01
# Recipients that are looked up in one turn: most may not be connected here.
_LOOK_UPS = 2_048
_SLOW_INTERVAL_S = 0.02  # between portions, while receivers fall behind


@dataclass(slots=True)
class Fanout:
    """One event on its way to the clients of this server.

    Attributes:
        recipients: those that have not been looked up yet; `left` is their number.
        xid: the transaction that stored its rows.
    """

    template: DatagramTemplate
    recipients: Iterator[tuple[int, bytes]]
    left: int
    xid: int


@dataclass(slots=True, eq=False)
class Delivery:
    """Sends notifications to clients and follows them until they are acknowledged.

    Attributes:
        pending: recipients of events that have not been looked up yet.
    """

    clients: Clients
    replays: Replays
    requests: DatabaseRequests
    vector: MessageVector
    stats: Stats
    pending: int = 0
    # What the message vector holds: clients without ACKs by their place in it, first tries.
    _plain: list[tuple[int, Client, int]] = field(default_factory=list)
    _first_tries: list[Due] = field(default_factory=list)
    _congestion: Congestion = field(default_factory=Congestion)
    _retries: Retries = field(default_factory=Retries)
    _fanouts: deque[Fanout] = field(default_factory=deque)
    _next_slow: float = 0.0
    _next_portion: float = 0.0

    def fan_out(self, template: DatagramTemplate, recipients: Recipients, xid: int) -> None:
        """Send an event, which the transaction `xid` stored, to the clients of its recipients."""
        self._fanouts.append(Fanout(template, iter(recipients), len(recipients), xid))
        self.pending += len(recipients)

    def has_work(self, now: float) -> bool:
        """Return whether `send_some` would do something now."""
        has_news = self._fanouts and not self._must_wait(now)
        return bool(has_news or self._retries or self.clients.ready)

    def _must_wait(self, now: float) -> bool:
        return now < self._next_slow and self._congestion.is_high(now)

    def advance(self, now: float) -> None:
        """Find what is overdue, so that its ACKs can be read before it is sent again."""
        self._retries.advance(now)

    @property
    def has_overdue(self) -> bool:
        return bool(self._retries)

    def wait_ms(self) -> int:
        """Return for how long nothing has to be done."""
        if self.clients.ready_plain or self.pending:
            return int(_PORTION_INTERVAL_S * 1000)
        return 20 if self._retries.is_timing or self.requests.has_marks else 500

    @property
    def is_idle(self) -> bool:
        """Whether nothing is waiting to be sent or acknowledged."""
        is_sending = self._fanouts or self._retries
        return not is_sending and not any(c.in_flight or c.queue for c in self.clients)

    def figures(self) -> Figures:
        waiting = self.pending + self.clients.queued
        return Figures(deepcopy(self.stats), len(self.clients), waiting)

    def send_some(self, now: float, limit: int) -> None:
        """Send what is overdue, what is queued, and one event to up to `limit` of its recipients.

        Not more, so that ACKs are read in between.
        """
        self._resend_some(now, limit)
        self._send_queues(self.clients.ready, now)
        if self.clients.ready_plain and now >= self._next_portion:
            self._next_portion = now + _PORTION_INTERVAL_S
            self._send_queues(self.clients.ready_plain, now)
        if self._fanouts and not self._must_wait(now):
            self._next_slow = now + _SLOW_INTERVAL_S
            self._fan_out_some(self._fanouts[0], now, limit)

    # --- events --------------------------------------------------------------------------------

    def _fan_out_some(self, fanout: Fanout, now: float, limit: int) -> None:
        before = self.stats.sent
        looked_up = self._deliver_some(fanout, now, limit)
        self._flush(now)
        received = fanout.template.received
        if received is not None and self.stats.sent > before:
            self.stats.to_send.observe(now - received, self.stats.sent - before)
        self.pending -= looked_up
        fanout.left -= looked_up
        if not fanout.left:
            self._fanouts.popleft()

    def _deliver_some(self, fanout: Fanout, now: float, limit: int) -> int:
        """Return how many recipients were looked up; most may have no client here."""
        looked_up = 0
        for id, user in islice(fanout.recipients, _LOOK_UPS):
            looked_up += 1
            clients = self.clients.of(user)
            if clients:
                for client in clients:
                    self._deliver(client, id, fanout, now)
                limit -= 1
                if not limit:
                    break
        return looked_up

    def _deliver(self, client: Client, id: int, fanout: Fanout, now: float) -> None:
        snapshot = client.snapshot
        if client.is_behind or (snapshot is not None and snapshot.sees(fanout.xid)):
            return
        is_full = client.ack and len(client.in_flight) >= WINDOW
        if is_full or client.queue or client.replay is not None:
            self.clients.queue_live(client, id, fanout.template, fanout.xid)
        else:
            self._send_first(client, id, fanout.template, now)

    # --- sending -------------------------------------------------------------------------------

    def _send_first(self, client: Client, id: int, template: DatagramTemplate, now: float) -> None:
        """Send a notification for the first time."""
        if not client.ack:
            self._add(client, id, template, now)
            self._plain.append((len(self.vector) - 1, client, id))
        elif id not in client.in_flight:
            flight = InFlight(id, template, now)
            client.in_flight[id] = flight
            self._add(client, id, template, now)
            self._first_tries.append((client, flight))

    def _add(self, client: Client, id: int, template: DatagramTemplate, now: float) -> None:
        if len(self.vector) == CAPACITY:
            self._flush(now)
        self.vector.add(template.fill(id, client.suffix), client.raw_address)

    def _flush(self, now: float) -> None:
        """Send what was collected; mark as read what was sent to clients without ACKs."""
        count = len(self.vector)
        if not count:
            return
        failed = self.vector.flush()
        self.stats.sent += count - len(failed)
        self.stats.send_errors += len(failed)
        if self._first_tries:
            self._retries.add(self._first_tries, 1, now)
            self._first_tries.clear()
        for place, client, id in self._plain:
            if place not in failed:
                self._mark_plain(client, id)
        self._plain.clear()

    def _mark_plain(self, client: Client, id: int) -> None:
        if client.replay is not None:
            client.replay.settled.add(id)
        if not self.clients.has_acknowledging(client.user):
            self.requests.mark_read(id)

    # --- ACKs and retries ----------------------------------------------------------------------

    def acknowledge(self, client: Client, ids: Iterable[int], now: float) -> None:
        """Settle what is in flight to this client; other ids change nothing."""
        for id in ids:
            flight = client.in_flight.pop(id, None)
            if flight is None:
                continue
            self.requests.mark_acknowledged(id)
            self.stats.acknowledged += 1
            if client.replay is not None:
                client.replay.settled.add(id)
            if flight.tries == 1:
                self._congestion.on_ack(client, now - flight.first_sent, now)
            if flight.template.received is not None:
                self.stats.to_ack.observe(now - flight.template.received)
        if client.is_waiting:
            self._send_queue(client, now)  # at once: the window is what limits a replay

    def _resend_some(self, now: float, limit: int) -> None:
        for client, flight in self._retries.take(limit):
            if client.is_gone:  # by the one before
                continue
            if flight.tries > len(OFFSETS_S):
                self.stats.clients_dropped += 1
                self.clients.remove(client)
                continue
            flight.tries += 1
            self.stats.retransmitted += 1
            self._add(client, flight.id, flight.template, now)
            self._retries.add([(client, flight)], flight.tries, flight.first_sent)
        self._flush(now)

    # --- queues --------------------------------------------------------------------------------

    def _send_queues(self, ready: dict[Client, None], now: float) -> None:
        clients = list(ready)
        ready.clear()
        for client in clients:
            if not client.is_gone:
                self._send_queue(client, now)

    def _send_queue(self, client: Client, now: float) -> None:
        """Send what the window allows, and load more if the queue runs low."""
        space = WINDOW - len(client.in_flight) if client.ack else _PORTION
        for id, template in self.clients.take_queued(client, space):
            self._send_first(client, id, template, now)
        self._flush(now)
        self.replays.refill(client)
        if client.queue and not client.ack:
            self.clients.mark_ready(client)
