"""When a notification is sent again: a wheel of timers. No I/O, no clock."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable

from notify_server.udp.clients import Client, InFlight

# Seconds after the first sending; unanswered at the last, the client is dropped.
OFFSETS_S = (1.0, 3.0, 7.0)
GIVE_UP_S = 15.0
_TICK_S = 0.05
# Each gets a random shift, and is rounded to a tick and to a turn of the sending thread: together
# less than a tenth.
_EARLIEST, _LATEST = 0.92, 1.02

Due = tuple[Client, InFlight]


class Retries:
    """Notifications in flight, by the time of their next retry.

    Acknowledged ones are not taken out, but skipped when they are due.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, list[Due]] = {}
        self._next_tick = 0
        self._overdue: deque[Due] = deque()

    def __len__(self) -> int:
        """Return how many are overdue."""
        return len(self._overdue)

    @property
    def is_timing(self) -> bool:
        return bool(self._buckets)

    def add(self, sent: Iterable[Due], tries: int, first_sent: float) -> None:
        """Add what was first sent at that time, and repeated so often since."""
        if tries <= len(OFFSETS_S):
            offset = OFFSETS_S[tries - 1] * random.uniform(_EARLIEST, _LATEST)
        else:
            offset = GIVE_UP_S
        # After a standstill that time may have passed: then it is due at the next look.
        tick = max(int((first_sent + offset) / _TICK_S) + 1, self._next_tick)
        self._buckets.setdefault(tick, []).extend(sent)

    def advance(self, now: float) -> None:
        """Find what has become overdue and is still in flight."""
        current = int(now / _TICK_S)
        if self._next_tick == 0:
            self._next_tick = current
        while self._next_tick <= current:
            due = self._buckets.pop(self._next_tick, ())
            self._overdue.extend(item for item in due if _is_in_flight(*item))
            self._next_tick += 1

    def take(self, limit: int) -> list[Due]:
        """Take the next that are overdue and have not been acknowledged in the meantime."""
        taken = [self._overdue.popleft() for _ in range(min(limit, len(self._overdue)))]
        return [item for item in taken if _is_in_flight(*item)]


def _is_in_flight(client: Client, flight: InFlight) -> bool:
    return not client.is_gone and client.in_flight.get(flight.id) is flight
