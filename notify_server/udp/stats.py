"""Counters of the UDP thread, and the copy of them that it gives to /metrics."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

_BOUNDS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5),
    *(1.0, 2.5, 5.0, 10.0, 15.0),
)


class Histogram:
    """Counts of durations in seconds, each in the first bucket whose bound it does not exceed."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.sum = 0.0

    def observe(self, seconds: float, times: int = 1) -> None:
        self.counts[bisect_left(_BOUNDS, seconds)] += times
        self.sum += seconds * times

    def cumulative(self) -> list[tuple[str, float]]:
        """Return each bound as text with the count up to it, in Prometheus's form."""
        bounds = [*map(str, _BOUNDS), "+Inf"]
        return list(zip(bounds, map(float, accumulate(self.counts)), strict=True))


@dataclass(slots=True)
class Stats:
    """What has happened since the start. A client or datagram counts once in each."""

    received: int = 0
    malformed: int = 0
    sent: int = 0
    acknowledged: int = 0
    retransmitted: int = 0
    replayed: int = 0
    send_errors: int = 0
    clients_dropped: int = 0
    clients_expired: int = 0
    refused: int = 0
    to_send: Histogram = field(default_factory=Histogram)
    to_ack: Histogram = field(default_factory=Histogram)


class Figures(NamedTuple):
    """The UDP side at one moment.

    Attributes:
        stats: a copy, which does not change any more.
        waiting: notifications that are waiting to be sent.
    """

    stats: Stats
    clients: int
    waiting: int
