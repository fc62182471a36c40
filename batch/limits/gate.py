"""The gate of a run: how many requests are in flight, and whose turn it is.

One Gate lives in a Manager process and serves all workers; a job without workers has its own.
Turns are given first in, first out: otherwise all waiting callers would wake together and chance
would decide. The budget that all programs share decides when a request leaves (sql/budget.py).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Protocol

from ratelimit import RateLimitException, limits

from sql.budget import EVENNESS, MAX_PATIENCE_S

# Longer than any turn, which may include a pause, connecting and waiting for an answer; after it
# the turn of a dead caller is free again.
LEASE_S = MAX_PATIENCE_S + 60.0
ABSENCE_S = 1.0  # a waiting caller asks again at once: after so long without, it is dead


class Turns(Protocol):
    """What a caller needs of a gate: one in this process, behind the Manager, or a cluster's."""

    def enter(self, caller: str, timeout_s: float) -> bool: ...
    def leave(self, caller: str, calls: int, rate_limited: int = 0) -> None: ...


class Gate:
    """A semaphore and a rate limiter for all callers of a run.

    Args:
        concurrency: API calls in flight at once.
        per_second: API calls a second.
        burst: how many may go at once after an idle time.
    """

    def __init__(self, concurrency: int, per_second: float, burst: int) -> None:
        self._concurrency = concurrency
        self._changed = threading.Condition()
        # Waiting callers in order, and until when each place is kept (None: waiting right now).
        self._waiting: OrderedDict[str, float | None] = OrderedDict()
        self._inside: dict[str, float] = {}  # callers with a turn, and when their lease ends
        self._spent = 0
        self._rate_limited = 0
        self._lease_s = LEASE_S
        # Not `sleep_and_retry`: no signal could end its sleep.
        self._spend = limits(calls=burst, period=EVENNESS * burst / per_second)(lambda: None)

    def enter(self, caller: str, timeout_s: float) -> bool:
        """Wait for a turn; a caller that gives up after `timeout_s` keeps its place in the queue.

        Returns:
            whether the caller may make one call now; it must `leave` afterwards.
        """
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._waiting[caller] = None
            while (delay_s := self._delay(caller)) > 0:
                remaining_s = deadline_s - time.monotonic()
                if remaining_s <= 0:
                    self._waiting[caller] = time.monotonic() + ABSENCE_S
                    return False
                self._changed.wait(min(delay_s, remaining_s))
            self._waiting.pop(caller, None)
            self._inside[caller] = time.monotonic() + self._lease_s
            self._changed.notify_all()
            return True

    def leave(self, caller: str, calls: int, rate_limited: int = 0) -> None:
        """Return the turn, and count the calls that left during it and those answered with 429."""
        with self._changed:
            self._spent += calls
            self._rate_limited += rate_limited
            self._inside.pop(caller, None)
            self._changed.notify_all()

    def spent(self) -> int:
        """Return how many calls have left, retries included."""
        return self._spent

    def rate_limited(self) -> int:
        """Return how many of them the source answered with 429, or what it sends instead."""
        return self._rate_limited

    def forget(self, caller: str) -> None:
        """Release the turn and the place of a caller that has died."""
        with self._changed:
            self._inside.pop(caller, None)
            self._waiting.pop(caller, None)
            self._changed.notify_all()

    def _delay(self, caller: str) -> float:
        """Spend a call and return 0, or return how long to wait before the next look."""
        self._drop_the_dead(time.monotonic())
        is_next = next(iter(self._waiting), None) == caller
        if not is_next or len(self._inside) >= self._concurrency:
            return 1.0
        return self._pace()

    def _pace(self) -> float:
        """Spend a call and return 0, or return how long it is until one may be spent."""
        try:
            self._spend()
        except RateLimitException as exc:
            return float(exc.period_remaining)
        return 0.0

    def _drop_the_dead(self, now_s: float) -> None:
        for name in [n for n, until_s in self._waiting.items() if until_s and until_s < now_s]:
            del self._waiting[name]
        for name in [n for n, until_s in self._inside.items() if until_s < now_s]:
            del self._inside[name]
