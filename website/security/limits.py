"""How often somebody may try to sign in: 10 times a minute an address, 60 times all together."""

from __future__ import annotations

import ipaddress
import threading
from collections import deque

MOST_AN_ADDRESS, MOST_IN_ALL = 10, 60
_WINDOW_S = 60.0
_IPV6_NETWORK_BITS = 64  # what one household or host is given


class SignInLimits:
    """Counts tries of the last minute; it holds as many as are allowed in all, so never many."""

    def __init__(self) -> None:
        self._tries: deque[tuple[float, str]] = deque()
        self._lock = threading.Lock()

    def admit(self, address: str, now_s: float) -> bool:
        """Count a try and return True, or return False where there were too many.

        Args:
            address: the client's.
            now_s: a monotonic time.
        """
        network = network_of(address)
        with self._lock:
            while self._tries and self._tries[0][0] <= now_s - _WINDOW_S:
                self._tries.popleft()
            own = sum(network == other for _, other in self._tries)
            if own >= MOST_AN_ADDRESS or len(self._tries) >= MOST_IN_ALL:
                return False
            self._tries.append((now_s, network))
            return True


def network_of(address: str) -> str:
    """Return what counts as one client: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, _IPV6_NETWORK_BITS), strict=False))
    return str(found)
