"""What a client's datagram does: SUBSCRIBE, ACK, PING, UNSUBSCRIBE. Belongs to the UDP thread.

SUBSCRIBE takes three steps, so that a forged sender's address costs nothing and the socket never
waits for the database: the cookie (nothing is kept), then a candidate that collects what is new
while the database thread checks the proof and lists what is unread, then the client.
"""

from __future__ import annotations

import ipaddress
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from notify_server.store.snapshot import Snapshot
from notify_server.udp.clients import MAX_CLIENTS, Client, Clients, Replay
from notify_server.udp.delivery import Delivery
from notify_server.udp.stats import Stats
from notify_server.wire import protocol
from notify_server.wire.auth import Address, Cookies
from notify_server.wire.protocol import CLIENT_TTL_S, Ack, Ping, Subscribe, Unsubscribe

log = logging.getLogger(__name__)

Send = Callable[[bytes, Address], object]

MAX_CANDIDATES = 20_000
REFUSED = ("bad_proof", "unknown user, or the proof does not fit")
BAD_USER = ("bad_user_id", "user_id is no UUID")
FULL = ("server_full", "no more clients can be taken")


class JoinRequest(NamedTuple):
    """A subscription for the database thread to check.

    Attributes:
        message: None where only the list of unread rows is wanted.
        replay: where that list belongs, None where the client is being replayed to already.
        is_new: whether the client is a candidate, not one that subscribed before.
    """

    client: Client
    message: Subscribe | None
    replay: Replay | None
    is_new: bool


class Unread(NamedTuple):
    """The database thread's answer to a good subscription: ids of unread rows, oldest first."""

    ids: list[int]
    snapshot: Snapshot
    generation: int


class Joins(Protocol):
    """Where subscriptions are checked."""

    def request_join(self, request: JoinRequest) -> None: ...


class Subscriptions:
    """Answers clients and registers them."""

    def __init__(
        self,
        clients: Clients,
        delivery: Delivery,
        joins: Joins,
        cookies: Cookies,
        send: Send,
        stats: Stats,
        legacy: str,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clients = clients
        self._delivery = delivery
        self._joins = joins
        self._cookies = cookies
        self._send = send
        self._stats = stats
        self._legacy = legacy
        self._wall_clock = wall_clock

    def on_datagram(self, datagram: bytes, address: Address, now: float) -> None:
        message = protocol.parse(datagram)
        if isinstance(message, Ack):
            self._on_ack(message, address, now)
        elif isinstance(message, Subscribe):
            self._on_subscribe(message, address, len(datagram), now)
        elif isinstance(message, Ping):
            self._on_ping(message, address, len(datagram), now)
        elif isinstance(message, Unsubscribe):
            self._on_unsubscribe(message, address)
        else:
            self._stats.malformed += 1

    def _on_ack(self, message: Ack, address: Address, now: float) -> None:
        client = self._clients.at(address)
        if client is not None and client.session == message.session:
            client.last_seen = now
            self._delivery.acknowledge(client, message.ids, now)

    def _on_ping(self, message: Ping, address: Address, length: int, now: float) -> None:
        client = self._clients.at(address)
        if client is None or (message.user != client.user and not _is_bare(message, client)):
            self._challenge(address, length)
        elif client.session is None or client.session == message.session:
            client.last_seen = now
            self._send(protocol.pong(client.session), address)

    def _on_unsubscribe(self, message: Unsubscribe, address: Address) -> None:
        client = self._clients.at(address)
        if client is None or (message.user != client.user and not _is_bare(message, client)):
            return
        if client.session is not None and client.session != message.session:
            return
        self._delivery.drop(client)
        self._send(protocol.confirmation("UNSUBSCRIBE", _utc_now(), client.session), address)
        log.info("A client has unsubscribed address=%s", address[0])

    def _challenge(self, address: Address, question_length: int) -> None:
        answer = protocol.challenge(self._cookies.make(address, self._wall_clock()))
        if len(answer) <= question_length:
            self._send(answer, address)

    # --- SUBSCRIBE -----------------------------------------------------------------------------

    def _on_subscribe(self, message: Subscribe, address: Address, length: int, now: float) -> None:
        if message.cookie is None:
            if self._may_be_legacy(address) and message.user is not None:
                self._join(message.user, message, address, now)
            else:
                self._challenge(address, length)
        elif not self._cookies.is_valid(message.cookie, address, self._wall_clock()):
            self._challenge(address, length)
        elif message.user is None:
            self._refuse(address, BAD_USER)
        else:
            self._join(message.user, message, address, now)

    def _may_be_legacy(self, address: Address) -> bool:
        """Whether this address may subscribe without proof: never where a proved client is."""
        if self._legacy == "off":
            return False
        client = self._clients.at(address)
        if client is not None and client.session is not None:
            return False
        return self._legacy == "any" or is_loopback(address[0])

    def _join(self, user: bytes, message: Subscribe, address: Address, now: float) -> None:
        if self._clients.candidate_at(address) is not None:
            return  # being checked already
        client = self._clients.at(address)
        is_new = client is None or not _is_same(client, user, message)
        if client is None or is_new:
            if self._is_full(client):
                if message.cookie is not None:  # else the address may be forged
                    self._refuse(address, FULL)
                return
            is_proved = message.cookie is not None
            client = Client(address, user, is_proved, message.ack and is_proved, now)
            self._clients.add_candidate(client)
        replay = Replay() if client.replay is None else None
        client.replay = client.replay or replay
        self._delivery.flush_marks()
        self._joins.request_join(JoinRequest(client, message, replay, is_new))

    def request_unread(self, client: Client) -> None:
        """Asks once more what is unread, for a client that had to be skipped."""
        client.replay = Replay()
        self._joins.request_join(JoinRequest(client, None, client.replay, is_new=False))

    def _is_full(self, replaced: Client | None) -> bool:
        too_many = replaced is None and len(self._clients) >= MAX_CLIENTS
        return too_many or self._clients.candidate_count >= MAX_CANDIDATES

    def accept(self, request: JoinRequest, unread: Unread, now: float) -> None:
        """The proof is good: confirms, then replays."""
        client = request.client
        if client.is_gone:
            return
        if request.message is not None:
            client.generation = unread.generation
        if request.is_new:
            for other in self._clients.admit(client):
                self._delivery.discard(other)
            log.info(
                "A client has subscribed address=%s clients=%d",
                client.address[0],
                len(self._clients),
            )
        client.last_seen = now
        if request.message is not None:
            confirmation = protocol.confirmation("SUBSCRIBE", _utc_now(), client.session)
            self._send(confirmation, client.address)
        if request.replay is not None and client.replay is request.replay:
            self._delivery.begin_replay(client, unread.ids, unread.snapshot, now)

    def refuse(self, request: JoinRequest, now: float) -> None:
        """The user is unknown or the proof wrong: as if nothing had been sent."""
        self._undo(request, now)
        if request.message is not None and request.message.cookie:
            self._refuse(request.client.address, REFUSED)

    def postpone(self, request: JoinRequest, now: float) -> None:
        """The database is away: no answer, the client asks again."""
        self._undo(request, now)

    def _undo(self, request: JoinRequest, now: float) -> None:
        client = request.client
        if client.is_gone:
            return
        if request.is_new:
            self._delivery.drop(client)
        elif request.message is None:
            self._delivery.give_up_replay(client)
        elif request.replay is not None and client.replay is request.replay:
            self._delivery.end_replay(client, now)

    def _refuse(self, address: Address, reason: tuple[str, str]) -> None:
        self._stats.refused += 1
        client = self._clients.at(address)
        session = client.session if client is not None else None
        self._send(protocol.error(*reason, session), address)

    # --- leaving -------------------------------------------------------------------------------

    def revoke(self, user: bytes, generation: int) -> None:
        """The user's key was rotated: clients from before have to go, with or without a proof."""
        for client in self._clients.of(user):
            if client.generation < generation:
                self._delivery.drop(client)

    def expire(self, now: float) -> None:
        """Drops clients that have been silent for too long; nudges those that wait."""
        for client in self._clients:
            if now - client.last_seen > CLIENT_TTL_S:
                self._stats.clients_expired += 1
                self._delivery.drop(client)
            elif client.replay is not None or client.is_behind or client.queue:
                self._delivery.pump(client, now)


def _is_same(client: Client, user: bytes, message: Subscribe) -> bool:
    """Whether this is the registered client's subscription once more."""
    is_proved = message.cookie is not None
    same_kind = (client.session is not None) == is_proved
    return client.user == user and same_kind and client.ack == (message.ack and is_proved)


def _is_bare(message: Ping | Unsubscribe, client: Client) -> bool:
    """Whether an original client names no user, which was allowed."""
    return client.session is None and message.user is None


def is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _utc_now() -> datetime:
    return datetime.now(UTC)
