"""Subscriptions: SUBSCRIBE, expiry, rotated keys. Belongs to the UDP thread.

SUBSCRIBE takes three steps, so that a forged address costs nothing and the socket never waits for
the database: the cookie (nothing is stored), then a candidate that collects new notifications while
the database thread checks the proof and lists what is unread, then the client.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic

from mangahub.sockets import is_loopback
from notify_server.udp.clients import MAX_CLIENTS, Client, Clients, Replay
from notify_server.udp.database_requests import DatabaseRequests, Refusal, Unread, UnreadRequest
from notify_server.udp.proofs import Proofs
from notify_server.udp.replay import Replays
from notify_server.udp.stats import Stats
from notify_server.wire import protocol
from notify_server.wire.auth import Address, Cookies
from notify_server.wire.protocol import CLIENT_TTL_S, Subscribe

log = logging.getLogger(__name__)

Send = Callable[[bytes, Address], object]

MAX_CANDIDATES = 20_000
BAD_PROOF = ("bad_proof", "unknown user or wrong proof")
BAD_USER = ("bad_user_id", "user_id is not a UUID")
FULL = ("server_full", "no more clients can be accepted")


@dataclass(frozen=True)
class Subscriptions:
    """Adds clients and drops them.

    Attributes:
        legacy: who may subscribe without proof: `off`, `loopback` or `any`.
    """

    clients: Clients
    replays: Replays
    requests: DatabaseRequests
    cookies: Cookies
    proofs: Proofs
    send: Send
    stats: Stats
    legacy: str

    # --- what clients send ---------------------------------------------------------------------

    def challenge(self, address: Address, question_length: int) -> None:
        """Send a cookie, unless the answer would be longer than the request."""
        answer = protocol.challenge(self.cookies.make(address, time.time()))
        if len(answer) <= question_length:
            self.send(answer, address)

    def subscribe(self, message: Subscribe, address: Address, length: int, now: float) -> None:
        """Answer a SUBSCRIBE of that length, or have it checked by the database first."""
        if message.cookie is None:
            if message.user is not None and self._may_be_legacy(address):
                self._ask(message.user, message, address, now)
            else:
                self.challenge(address, length)
        elif self.proofs.is_paused(address, now):
            self.stats.refused += 1
        elif not self.cookies.is_valid(message.cookie, address, time.time()):
            self.challenge(address, length)
        elif message.user is None:
            self._refuse(address, BAD_USER)
        elif self.proofs.may_ask(message.user, message, address, now):
            self._ask(message.user, message, address, now)

    def _may_be_legacy(self, address: Address) -> bool:
        """Return whether it may subscribe without proof: never in place of a proved client."""
        if self.legacy == "off":
            return False
        client = self.clients.at(address)
        if client is not None and client.session is not None:
            return False
        return self.legacy == "any" or is_loopback(address[0])

    def _ask(self, user: bytes, message: Subscribe, address: Address, now: float) -> None:
        if address in self.clients.candidates:
            return  # being checked already
        client = self.clients.at(address)
        is_new = client is None or not _is_same(client, user, message)
        if client is None or is_new:
            if self._is_full(client):
                if message.cookie is not None:  # otherwise the address may be forged
                    self._refuse(address, FULL)
                return
            is_proved = message.cookie is not None
            client = Client(address, user, is_proved, message.ack and is_proved, now)
            self.clients.add_candidate(client)
        replay = Replay() if client.replay is None else None
        client.replay = client.replay or replay
        reply = partial(self._on_answer, client, message, replay, is_new)
        self.requests.ask_unread(UnreadRequest(user, message, reply))

    def _is_full(self, replaced: Client | None) -> bool:
        too_many = replaced is None and len(self.clients) >= MAX_CLIENTS
        return too_many or len(self.clients.candidates) >= MAX_CANDIDATES

    def _refuse(self, address: Address, reason: tuple[str, str]) -> None:
        self.stats.refused += 1
        client = self.clients.at(address)
        session = client.session if client is not None else None
        self.send(protocol.error(*reason, session), address)

    # --- what the database thread answers ------------------------------------------------------

    def _on_answer(
        self,
        client: Client,
        message: Subscribe,
        replay: Replay | None,
        is_new: bool,
        answer: Unread | Refusal,
    ) -> None:
        """Confirm the subscription and replay what is unread, or undo the request.

        Args:
            replay: None if a replay to the client was under way already.
            is_new: whether the client is a candidate, not one that subscribed before.
        """
        is_mine = replay is not None and client.replay is replay
        if isinstance(answer, Unread):
            if not client.is_gone:
                self._confirm(client, is_new, answer.generation)
                if is_mine:
                    self.replays.begin(client, answer)
            return
        if is_new:
            self.clients.remove(client)
        elif is_mine:
            self.replays.skip(client)
        if answer is Refusal.REJECTED and message.cookie is not None:
            self._refuse(client.address, BAD_PROOF)  # otherwise no answer: the client repeats it

    def _confirm(self, client: Client, is_new: bool, generation: int) -> None:
        if is_new:
            self.clients.admit(client)
            count = len(self.clients)
            log.info("Client subscribed address=%s clients=%d", client.address[0], count)
        client.generation = generation
        self.proofs.learn(client.user, generation)
        self.proofs.forgive(client.address)
        client.last_seen = monotonic()
        confirmation = protocol.confirmation("SUBSCRIBE", datetime.now(UTC), client.session)
        self.send(confirmation, client.address)

    # --- leaving -------------------------------------------------------------------------------

    def revoke_keys(self, generations: dict[bytes, int]) -> None:
        """Drop clients from before a rotation of their user's key, with or without a proof."""
        for user, generation in generations.items():
            self.proofs.learn(user, generation)
            for client in self.clients.of(user):
                if client.generation < generation:
                    self.clients.remove(client)

    def catch_up(self) -> None:
        """Have what is unread sent to every client, whatever its last replay has seen.

        A database that has crashed gives the numbers of its last transactions again.
        """
        for client in self.clients:
            client.snapshot, client.is_behind = None, True
            self.clients.mark_ready(client)

    def end_all(self) -> None:
        """Drop all clients, and those whose subscription is being checked."""
        for client in [*self.clients, *self.clients.candidates.values()]:
            self.clients.remove(client)

    def expire(self, now: float) -> None:
        """Drop clients that have been silent for too long; continue sending to the others."""
        for client in self.clients:
            if now - client.last_seen > CLIENT_TTL_S:
                self.stats.clients_expired += 1
                self.clients.remove(client)
            elif client.is_waiting:
                self.clients.mark_ready(client)


def _is_same(client: Client, user: bytes, message: Subscribe) -> bool:
    """Return whether the registered client repeats its subscription."""
    is_proved = message.cookie is not None
    same_kind = (client.session is not None) == is_proved
    return client.user == user and same_kind and client.ack == (message.ack and is_proved)
