"""The rate rule of the whole host: a sliding window, then a ban for those who insist.

Source: "approximately 5 requests per second per IP" for the host, 429 beyond it, a temporary 403
for carrying on, renewed by every request. How long and after how many is undocumented: settings.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from threading import Lock

from mangadex_sim.settings import Settings


class Decision(Enum):
    """What the rule says about one request."""

    ALLOWED = "allowed"
    TOO_MANY = "too many"
    BANNED = "banned"


@dataclass(frozen=True)
class Verdict:
    """The outcome, and how many seconds until a request would be allowed again."""

    outcome: Decision
    wait_s: float = 0.0


class RateRule:
    """Judges requests by their arrival (monotonic seconds). Thread-safe.

    Allowed requests fill the window, refused ones do not: waiting for the oldest to leave the
    window is always enough.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._allowed: deque[float] = deque()
        self._refused: deque[float] = deque()
        self._banned_until = 0.0

    def judge(self, arrival_s: float, settings: Settings) -> Verdict:
        """Return the verdict on a request and remember it."""
        if settings.rate == 0:
            return Verdict(Decision.ALLOWED)
        with self._lock:
            if arrival_s < self._banned_until:
                self._banned_until = arrival_s + settings.ban_s
                return Verdict(Decision.BANNED, settings.ban_s)
            _drop_before(self._allowed, arrival_s - settings.window_s)
            if len(self._allowed) < settings.rate:
                self._allowed.append(arrival_s)
                return Verdict(Decision.ALLOWED)
            return self._refuse(arrival_s, settings)

    def _refuse(self, arrival_s: float, settings: Settings) -> Verdict:
        _drop_before(self._refused, arrival_s - settings.ban_within_s)
        self._refused.append(arrival_s)
        if len(self._refused) > settings.ban_after:
            self._refused.clear()
            self._banned_until = arrival_s + settings.ban_s
            return Verdict(Decision.BANNED, settings.ban_s)
        oldest = self._allowed[-settings.rate]
        return Verdict(Decision.TOO_MANY, max(0.0, oldest + settings.window_s - arrival_s))

    def forget(self) -> None:
        """Start anew: an empty window and no ban."""
        with self._lock:
            self._allowed.clear()
            self._refused.clear()
            self._banned_until = 0.0


def _drop_before(instants: deque[float], limit: float) -> None:
    """Drop what has left the window (limit, now]."""
    while instants and instants[0] <= limit:
        instants.popleft()
