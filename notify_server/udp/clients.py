"""Who is subscribed: clients by address and by user. Belongs to the UDP thread alone.

Other threads may ask `has_user`, one look-up in a dictionary.
"""

from __future__ import annotations

import math
import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from notify_server.store.snapshot import Snapshot
from notify_server.udp.sendmmsg import raw_address
from notify_server.wire.auth import Address
from notify_server.wire.datagram import DatagramTemplate, suffix

MAX_CLIENTS_PER_USER = 16
MAX_CLIENTS = 100_000


class InFlight:
    """A notification that was sent to an acknowledging client and not acknowledged yet."""

    __slots__ = ("first_sent", "id", "template", "tries")

    def __init__(self, id: int, template: DatagramTemplate, first_sent: float) -> None:
        self.id = id
        self.template = template
        self.first_sent = first_sent
        self.tries = 1


@dataclass(slots=True)
class Replay:
    """What a client still gets from the database before anything new.

    Attributes:
        ids: of unread rows that are not loaded yet, None until the query has told.
        is_loading: whether a page of them is being loaded.
        later: live notifications that arrived meanwhile, each with its transaction.
        settled: ids done with since the query was asked for; it may still list them.
    """

    ids: deque[int] | None = None
    is_loading: bool = False
    later: list[tuple[int, DatagramTemplate, int]] = field(default_factory=list)
    settled: set[int] = field(default_factory=set)


class Client:
    """One address on which one user listens.

    Attributes:
        session: 32 hexadecimal digits, None for a client of the original kind.
        queue: notifications that wait for the window, oldest first.
        replay: None when everything that was unread is queued.
        is_behind: it had to be skipped; the database has to be asked again.
        snapshot: of the last replay's query; None where there has been none.
        generation: of the key that it proved to hold.
        name: the address as the kernel has it.
        fastest_ack: the shortest time in seconds from a notification to its ACK.
    """

    __slots__ = (
        "ack",
        "address",
        "fastest_ack",
        "generation",
        "in_flight",
        "is_behind",
        "is_gone",
        "last_seen",
        "name",
        "queue",
        "replay",
        "session",
        "snapshot",
        "suffix",
        "user",
    )

    def __init__(self, address: Address, user: bytes, proved: bool, ack: bool, now: float) -> None:
        self.address = address
        self.name = raw_address(address)
        self.user = user
        self.session = secrets.token_hex(16) if proved else None
        self.suffix = suffix(self.session)
        self.ack = ack
        self.last_seen = now
        self.in_flight: dict[int, InFlight] = {}
        self.queue: deque[tuple[int, DatagramTemplate]] | None = None
        self.replay: Replay | None = None
        self.is_behind = False
        self.is_gone = False
        self.snapshot: Snapshot | None = None
        self.generation = 0
        self.fastest_ack = math.inf


class Clients:
    """All clients. A candidate is one whose subscription is being checked: it only collects."""

    def __init__(self) -> None:
        self._by_address: dict[Address, Client] = {}
        self._by_user: dict[bytes, tuple[Client, ...]] = {}
        self._candidates: dict[Address, Client] = {}

    def __len__(self) -> int:
        return len(self._by_address)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._by_address.values()))

    @property
    def candidate_count(self) -> int:
        return len(self._candidates)

    def at(self, address: Address) -> Client | None:
        return self._by_address.get(address)

    def of(self, user: bytes) -> tuple[Client, ...]:
        """The user's clients and candidates."""
        return self._by_user.get(user, ())

    def has_user(self, user: bytes) -> bool:
        return user in self._by_user

    def users(self) -> list[bytes]:
        return list(self._by_user)

    def candidate_at(self, address: Address) -> Client | None:
        return self._candidates.get(address)

    def add_candidate(self, client: Client) -> None:
        """From now on live notifications of its user are kept for it."""
        self._candidates[client.address] = client
        self._by_user[client.user] = (*self.of(client.user), client)

    def admit(self, candidate: Client) -> list[Client]:
        """Makes the candidate a client, and returns those that had to go for it."""
        self._candidates.pop(candidate.address, None)
        gone = [c for c in [self.at(candidate.address)] if c is not None]
        for client in gone:
            self.remove(client)
        self._by_address[candidate.address] = candidate
        mine = [c for c in self.of(candidate.user) if self.at(c.address) is c]
        if len(mine) > MAX_CLIENTS_PER_USER:
            silent = min((c for c in mine if c is not candidate), key=lambda c: c.last_seen)
            self.remove(silent)
            gone.append(silent)
        return gone

    def remove(self, client: Client) -> None:
        """Forgets a client or a candidate; does nothing where it is forgotten already."""
        client.is_gone = True
        for table in (self._by_address, self._candidates):
            if table.get(client.address) is client:
                del table[client.address]
        rest = tuple(c for c in self.of(client.user) if c is not client)
        if rest:
            self._by_user[client.user] = rest
        else:
            self._by_user.pop(client.user, None)

    def has_acknowledging(self, user: bytes) -> bool:
        return any(c.ack and self.at(c.address) is c for c in self.of(user))
