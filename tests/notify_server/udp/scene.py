"""The parts of the UDP thread with a clock of our own; what it sends and asks is recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

from notify_server.udp.clients import Client, Clients
from notify_server.udp.database_requests import (
    DatabaseRequests,
    Marks,
    PageRequest,
    Unread,
    UnreadRequest,
)
from notify_server.udp.delivery import Delivery
from notify_server.udp.replay import Replays
from notify_server.udp.sockets import CAPACITY, MessageVector
from notify_server.udp.stats import Stats
from readers.datagram import Content, make_template
from readers.recipients import Recipients
from sql.snapshot import Snapshot

TEMPLATE = make_template(Content("NEW_MANGA", 1, "T", "m", None, {}, []))


class DatabaseRecorder:
    """What would go to the database thread."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []
        self.read: list[int] = []
        self.pages: list[PageRequest] = []
        self.asked: list[bytes] = []

    def put(self, request: Marks | UnreadRequest | PageRequest) -> None:
        if isinstance(request, Marks):
            self.acknowledged += request.acknowledged
            self.read += request.read
        elif isinstance(request, UnreadRequest):
            self.asked.append(request.user)
        else:
            self.pages.append(request)


class Outgoing(MessageVector):
    """What would go to the socket, which sends nothing while `is_refusing`.

    Attributes:
        sent: time, raw address and id of each datagram.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.sent: list[tuple[float, bytes, int]] = []
        self.is_refusing = False
        self._collected: list[tuple[float, bytes, int]] = []

    def __len__(self) -> int:
        return len(self._collected)

    def add(self, datagram: bytes, address: bytes) -> None:
        assert len(self._collected) < CAPACITY
        self._collected.append((self._clock(), address, json.loads(datagram)["id"]))

    def flush(self) -> list[int]:
        count = len(self._collected)
        self.sent += [] if self.is_refusing else self._collected
        self._collected.clear()
        return list(range(count)) if self.is_refusing else []


class Scene:
    """A delivery with clients, and everything that it sends."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.database = DatabaseRecorder()
        self.outgoing = Outgoing(lambda: self.now)
        self.sent = self.outgoing.sent
        self.clients, self.stats = Clients(), Stats()
        self.requests = DatabaseRequests(self.database.put)
        self.replays = Replays(self.clients, self.requests, self.stats)
        self.delivery = Delivery(
            self.clients, self.replays, self.requests, self.outgoing, self.stats
        )

    def client(self, ack: bool = True) -> Client:
        address = ("127.0.0.1", 1000 + len(self.clients))
        client = Client(address, os.urandom(16), True, ack, self.now)
        self.clients.add_candidate(client)
        self.clients.admit(client)
        return client

    def push(self, *ids: int, to: Client, xid: int = 100) -> None:
        self.fan_out([(id, to.user) for id in ids], xid)
        self.turn()

    def fan_out(self, rows: list[tuple[int, bytes]], xid: int = 100) -> None:
        self.delivery.fan_out(TEMPLATE, Recipients.pack(rows), xid)

    def acknowledge(self, client: Client, *ids: int) -> None:
        self.delivery.acknowledge(client, ids, self.now)
        self.turn()

    def replay(self, client: Client, ids: list[int], snapshot: Snapshot) -> None:
        self.replays.begin(client, Unread(ids, snapshot, 0))
        self.turn()

    def load_pages(self, *, is_away: bool = False) -> None:
        """Answer the requests for pages."""
        pages = self.database.pages[:]
        self.database.pages.clear()
        for page in pages:
            page.reply(None if is_away else [(id, TEMPLATE) for id in page.ids])
        self.turn()

    def turn(self) -> None:
        while self.delivery.has_work(self.now):
            self.delivery.send_some(self.now, 64)

    def pass_time(self, seconds: float, step: float = 0.01) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += step
            self.delivery.advance(self.now)
            self.delivery.send_some(self.now, 64)
            self.turn()

    def times(self, client: Client) -> list[float]:
        return [time for time, address, _ in self.sent if address == client.raw_address]

    def ids(self, client: Client) -> list[int]:
        return [id for _, address, id in self.sent if address == client.raw_address]
