"""The clients, by address and by user, and their queues. Belongs to the UDP thread."""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from notify_server.udp.sockets import raw_address
from notify_server.wire.auth import Address
from readers.datagram import DatagramTemplate, session_suffix
from sql.snapshot import Snapshot

MAX_CLIENTS_PER_USER = 16
MAX_CLIENTS = 100_000
_MAX_QUEUE = 1_000
_MAX_QUEUED = 300_000

_T = TypeVar("_T")


@dataclass(slots=True, eq=False)
class InFlight:
    """A notification that was sent to an acknowledging client and not acknowledged yet."""

    id: int
    template: DatagramTemplate
    first_sent: float
    tries: int = 1


@dataclass(slots=True, eq=False)
class Replay:
    """What a client still gets from the database, before anything new.

    Attributes:
        ids: of unread rows that are not loaded yet, None until the database has answered.
        is_loading: whether a page of them is being loaded.
        later: live notifications that arrived in the meantime, each with its transaction.
        settled: ids that were acknowledged since the query; its answer may still list them.
    """

    ids: deque[int] | None = None
    is_loading: bool = False
    later: deque[tuple[int, DatagramTemplate, int]] = field(default_factory=deque)
    settled: set[int] = field(default_factory=set)


@dataclass(slots=True, eq=False)
class Client:
    """One address at which one user listens.

    Attributes:
        user: the user's id as 16 bytes.
        is_proved: False for a legacy client, which has no session.
        session, suffix: 32 hexadecimal digits, and the end of its datagrams.
        generation: of the key that it has proved to hold.
        queue: notifications that are waiting for the window, oldest first.
        replay: None when everything that was unread is queued.
        snapshot: of the last replay's query; None if there has been none.
        is_behind: whether it was skipped, so that its unread rows must be queried again.
        fastest_ack_s: the shortest time from a notification to its ACK.
    """

    address: Address
    user: bytes
    is_proved: bool
    ack: bool
    last_seen: float
    raw_address: bytes = field(init=False)
    session: str | None = field(init=False)
    suffix: bytes = field(init=False)
    generation: int = 0
    in_flight: dict[int, InFlight] = field(default_factory=dict)
    # None until something is queued: an empty deque needs 600 bytes.
    queue: deque[tuple[int, DatagramTemplate]] | None = None
    replay: Replay | None = None
    snapshot: Snapshot | None = None
    is_behind: bool = False
    is_gone: bool = False
    fastest_ack_s: float = math.inf

    def __post_init__(self) -> None:
        self.raw_address = raw_address(self.address)
        self.session = secrets.token_hex(16) if self.is_proved else None
        self.suffix = session_suffix(self.session)

    @property
    def is_waiting(self) -> bool:
        """Whether there may be something to send when the window opens."""
        return bool(self.queue) or self.replay is not None or self.is_behind

    def own_queue(self) -> deque[tuple[int, DatagramTemplate]]:
        """Return the queue; create it when it is first needed."""
        if self.queue is None:
            self.queue = deque()
        return self.queue


class Clients:
    """All clients. A candidate is a client whose subscription is being checked.

    Memory is bounded, as the database has all rows: a client whose queue is too long is skipped,
    and gets the rest from the database when it has caught up.

    Attributes:
        candidates: by address.
        queued: notifications in all queues together.
        ready, ready_plain: clients with and without ACK to which something may be sent now.
    """

    def __init__(self) -> None:
        self._by_address: dict[Address, Client] = {}
        self._by_user: dict[bytes, tuple[Client, ...]] = {}
        self.candidates: dict[Address, Client] = {}
        self.queued = 0
        self.ready: dict[Client, None] = {}
        self.ready_plain: dict[Client, None] = {}

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._by_address.values()))

    def at(self, address: Address) -> Client | None:
        return self._by_address.get(address)

    def of(self, user: bytes) -> tuple[Client, ...]:
        """Return the user's clients and candidates."""
        return self._by_user.get(user, ())

    def has_acknowledging(self, user: bytes) -> bool:
        return any(c.ack and self.at(c.address) is c for c in self.of(user))

    # --- coming and going ----------------------------------------------------------------------

    def add_candidate(self, client: Client) -> None:
        """Keep live notifications of its user for it from now on."""
        self.candidates[client.address] = client
        self._by_user[client.user] = (*self.of(client.user), client)

    def admit(self, candidate: Client) -> None:
        """Make the candidate a client, in place of the one at its address or one of its user's."""
        self.candidates.pop(candidate.address, None)
        replaced = self.at(candidate.address)
        if replaced is not None:
            self.remove(replaced)
        self._by_address[candidate.address] = candidate
        mine = [c for c in self.of(candidate.user) if self.at(c.address) is c]
        if len(mine) > MAX_CLIENTS_PER_USER:
            self.remove(min((c for c in mine if c is not candidate), key=lambda c: c.last_seen))

    def remove(self, client: Client) -> None:
        """Remove a client or a candidate; what it has not acknowledged stays unread."""
        client.is_gone = True
        for table in (self._by_address, self.candidates):
            if table.get(client.address) is client:
                del table[client.address]
        rest = tuple(c for c in self.of(client.user) if c is not client)
        if rest:
            self._by_user[client.user] = rest
        else:
            self._by_user.pop(client.user, None)
        self.drop_replay(client)
        self.queued -= len(client.queue or ())
        client.queue = None
        client.in_flight.clear()

    # --- their queues --------------------------------------------------------------------------

    def mark_ready(self, client: Client) -> None:
        """Have `Delivery` look at the client's queue."""
        (self.ready if client.ack else self.ready_plain)[client] = None

    def queue_live(self, client: Client, id: int, template: DatagramTemplate, xid: int) -> None:
        """Queue a new notification, after the client's replay if there is one."""
        if client.replay is not None:
            self._queue(client, client.replay.later, (id, template, xid))
            return
        self._queue(client, client.own_queue(), (id, template))

    def _queue(self, client: Client, queue: deque[_T], item: _T) -> None:
        if len(queue) >= _MAX_QUEUE or self.queued >= _MAX_QUEUED:
            client.is_behind = True
            return
        queue.append(item)
        self.queued += 1

    def take_queued(self, client: Client, most: int) -> list[tuple[int, DatagramTemplate]]:
        """Take up to `most` notifications from the client's queue, oldest first."""
        queue = client.queue
        taken = [queue.popleft() for _ in range(min(most, len(queue)))] if queue else []
        self.queued -= len(taken)
        return taken

    def drop_replay(self, client: Client) -> None:
        if client.replay is not None:
            self.queued -= len(client.replay.later)
        client.replay = None
