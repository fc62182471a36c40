"""When a notification is sent again, and whether the receivers keep up. No I/O, no clock."""

from __future__ import annotations

import random
from collections import deque

from notify_server.udp.clients import Client, InFlight

# Seconds after the first sending; unanswered at the last, it is over.
OFFSETS_S = (1.0, 3.0, 7.0)
GIVE_UP_S = 15.0
_TICK_S = 0.05
# Each moved by chance, and after that by a tick and by the turn of the thread that sends: together
# by less than a tenth.
_EARLIEST, _LATEST = 0.92, 1.02
_MAX_QUEUEING_S = 0.15
_QUIET_S = 0.1

Due = tuple[Client, InFlight]


class Retries:
    """A wheel of timers. What was acknowledged is not taken out, but found to be so when due."""

    def __init__(self) -> None:
        self._buckets: dict[int, list[Due]] = {}
        self._next_tick = 0
        self._line: deque[Due] = deque()

    def __len__(self) -> int:
        """How many are overdue."""
        return len(self._line)

    @property
    def is_timing(self) -> bool:
        return bool(self._buckets)

    def bucket(self, tries: int, first_sent: float) -> list[Due]:
        """Where flights go that were sent so often, to be looked at when they are due."""
        if tries <= len(OFFSETS_S):
            offset = OFFSETS_S[tries - 1] * random.uniform(_EARLIEST, _LATEST)
        else:
            offset = GIVE_UP_S
        # After a standstill that moment may have passed: then at the next look.
        tick = max(int((first_sent + offset) / _TICK_S) + 1, self._next_tick)
        return self._buckets.setdefault(tick, [])

    def advance(self, now: float) -> None:
        """Puts in line what is due and still in flight."""
        current = int(now / _TICK_S)
        if self._next_tick == 0:
            self._next_tick = current
        while self._next_tick <= current:
            due = self._buckets.pop(self._next_tick, ())
            self._line.extend(item for item in due if _is_in_flight(*item))
            self._next_tick += 1

    def take(self, limit: int) -> list[Due]:
        """The next that are overdue and have not been acknowledged in the meantime."""
        taken = [self._line.popleft() for _ in range(min(limit, len(self._line)))]
        return [item for item in taken if _is_in_flight(*item)]


def _is_in_flight(client: Client, flight: InFlight) -> bool:
    return not client.is_gone and client.in_flight.get(flight.id) is flight


class Congestion:
    """Whether the receivers, all together, fall behind: then sending faster only means repeating.

    Each ACK tells how much longer it took than that client's fastest. A silent client has no
    weight, but a slow one with much to acknowledge can speak for all: so this may slow down what
    is sent to the others, and must never stop it. Where no ACK comes nothing is waited for.
    """

    def __init__(self) -> None:
        self._queueing = 0.0
        self._last_ack = 0.0

    def on_ack(self, client: Client, took: float, now: float) -> None:
        if took < client.fastest_ack:
            client.fastest_ack = took
        self._queueing += (took - client.fastest_ack - self._queueing) / 64
        self._last_ack = now

    def is_high(self, now: float) -> bool:
        if self._queueing > _MAX_QUEUEING_S and now - self._last_ack > _QUIET_S:
            self._queueing = 0.0
        return self._queueing > _MAX_QUEUEING_S
