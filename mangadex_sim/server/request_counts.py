"""Counts requests to the API, without control requests."""

from __future__ import annotations

from collections import Counter, deque
from threading import Lock

from mangadex_sim.catalogue.models import Json

_KEPT_ARRIVALS = 200_000
_KEPT_QUERIES = 10_000
_KEPT_AGENTS = 100


class RequestCounts:
    """Thread-safe counters since the last reset."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._in_flight = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything but the requests that are being answered."""
        with self._lock:
            self._total = 0
            self._most_in_flight = self._in_flight
            self._by_path: Counter[str] = Counter()
            self._by_status: Counter[str] = Counter()
            self._agents: Counter[str] = Counter()
            self._arrivals: deque[float] = deque(maxlen=_KEPT_ARRIVALS)
            self._queries: deque[str] = deque(maxlen=_KEPT_QUERIES)

    def begin(self, route: str, target: str, agent: str, arrival_s: float) -> None:
        """Count a request that came in."""
        with self._lock:
            self._total += 1
            self._in_flight += 1
            self._most_in_flight = max(self._most_in_flight, self._in_flight)
            self._by_path[route] += 1
            if agent in self._agents or len(self._agents) < _KEPT_AGENTS:
                self._agents[agent] += 1
            self._arrivals.append(arrival_s)
            self._queries.append(target)

    def end(self, outcome: str) -> None:
        """Count how a request ended: its status, or how it failed without one."""
        with self._lock:
            self._in_flight -= 1
            self._by_status[outcome] += 1

    def report(self) -> Json:
        """Return all counts; arrivals in monotonic seconds, rising."""
        with self._lock:
            arrivals = sorted(self._arrivals)
            return {
                "total": self._total,
                "by_path": dict(self._by_path),
                "by_status": dict(self._by_status),
                "max_in_a_second": most_within(arrivals, 1.0),
                "in_flight": self._in_flight,
                "max_in_flight": self._most_in_flight,
                "user_agents": dict(self._agents),
                "arrivals": arrivals,
                "queries": list(self._queries),
            }


def most_within(instants: list[float], window_s: float) -> int:
    """Return the most instants in any half-open window of a length; instants must be rising."""
    most, start = 0, 0
    for end, instant in enumerate(instants):
        while instant - instants[start] >= window_s:
            start += 1
        most = max(most, end - start + 1)
    return most
