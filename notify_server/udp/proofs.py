"""Paces wrong proofs, so that a flood of them neither fills the database's queue nor delays others.

A proof that is right for what is known here goes to the database at once, where it is checked
again. Another one is wrong, or of a key that was rotated without this server's knowledge: those are
looked up as well, but no more often than their host may be wrong; and an address that keeps being
wrong is not read for some seconds.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import TypeVar
from uuid import UUID

from notify_server.wire import auth
from notify_server.wire.auth import Address
from notify_server.wire.protocol import Subscribe
from readers.keys import derive_key

K = TypeVar("K")
V = TypeVar("V")

WRONG_BURST = 20.0
WRONG_PER_S = 10.0
WRONG_BEFORE_PAUSE = 3
PAUSE_S = 5.0
MAX_KEPT = 10_000  # hosts, and addresses


class Proofs:
    """What one server knows of keys, and how often each host was wrong recently."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._generations: dict[bytes, int] = {}  # of rotated keys; the others have 0
        # Tokens left at a monotonic time, in the order of the last wrong proof.
        self._hosts: OrderedDict[str, tuple[float, float]] = OrderedDict()
        # How often in a row an address was wrong, and until when it is not read.
        self._wrong: OrderedDict[Address, tuple[int, float]] = OrderedDict()

    def learn(self, user: bytes, generation: int) -> None:
        """Record the generation of a user's key."""
        if generation:
            self._generations[user] = generation

    def forgive(self, address: Address) -> None:
        """Record that the database has confirmed a proof of this address."""
        self._wrong.pop(address, None)

    def is_paused(self, address: Address, now: float) -> bool:
        """Return whether the address has been wrong too often; `now` is monotonic time."""
        return now < self._wrong.get(address, (0, 0.0))[1]

    def may_ask(self, user: bytes, message: Subscribe, address: Address, now: float) -> bool:
        """Return whether the database may check a proof; `now` is monotonic time."""
        assert message.cookie is not None
        generation = self._generations.get(user, 0)
        key = derive_key(self._secret, str(UUID(bytes=user)), generation)
        is_right = auth.proof_is_valid(
            message.proof, key, message.user_text, message.ack, message.cookie
        )
        if is_right:
            return True
        times = self._wrong.get(address, (0, 0.0))[0] + 1
        until = now + PAUSE_S if times >= WRONG_BEFORE_PAUSE else 0.0
        _keep(self._wrong, address, (times, until))
        return self._take(_network(address[0]), now)

    def _take(self, host: str, now: float) -> bool:
        tokens, at = self._hosts.get(host, (WRONG_BURST, now))
        tokens = min(tokens + (now - at) * WRONG_PER_S, WRONG_BURST)
        _keep(self._hosts, host, (tokens - 1 if tokens >= 1 else tokens, now))
        return tokens >= 1


def _keep(entries: OrderedDict[K, V], key: K, value: V) -> None:
    """Keep the newest entries."""
    entries[key] = value
    entries.move_to_end(key)
    if len(entries) > MAX_KEPT:
        entries.popitem(last=False)


def _network(host: str) -> str:
    """Return the address, for IPv6 its /64 network, which one host may use."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if address.version == 4 or address.ipv4_mapped:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False))
