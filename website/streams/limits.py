"""How many streams a reader, an address and the process may hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable

from website.security.limits import network_of

MOST_OF_A_READER = 16
MOST_OF_AN_ADDRESS = 64
MOST_IN_ALL = 5_000


class Counts:
    """The streams that are held now."""

    def __init__(self) -> None:
        self._held: Counter[Hashable] = Counter()
        self.total = 0

    def take(self, *holders: tuple[Hashable, int]) -> bool:
        """Count one more stream for each holder, unless one has as many as it may have."""
        if self.total >= MOST_IN_ALL or any(self._held[who] >= most for who, most in holders):
            return False
        for who, _ in holders:
            self._held[who] += 1
        self.total += 1
        return True

    def give_back(self, *holders: Hashable) -> None:
        for who in holders:
            self._held[who] -= 1
            if not self._held[who]:
                del self._held[who]
        self.total -= 1


def client_of(peer: str, forwarded: str, proxies: int) -> str:
    """Return who counts as one client.

    Args:
        peer: the other end of the connection.
        forwarded: the header X-Forwarded-For, to which each proxy adds its own peer.
        proxies: how many proxies of ours are in front; what is further left anyone can write.
    """
    hops = [*(hop.strip() for hop in forwarded.split(",") if hop.strip()), peer]
    return network_of(hops[max(len(hops) - 1 - proxies, 0)])
