"""The turnstile of a run: how many calls are in flight, whose turn it is, whether it still pays.

One Gate lives in a Manager process and serves all workers; a job that needs no workers has one of
its own. It hands out turns first in, first out: without tickets the sleepers wake together and
chance decides. The host's budget (host_budget.py) has the last word on when bytes leave.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.managers import BaseManager
from typing import Protocol, cast

from ratelimit import RateLimitException, limits

from batch.limits.host_budget import EVENNESS, MAX_PATIENCE_S
from batch.process import die_with

# Longer than any turn, which may have to sit out a pause, connect and wait for an answer; then a
# turn that a dead caller took comes back.
LEASE_S = MAX_PATIENCE_S + 60.0
ABSENCE_S = 5.0  # who waits asks again at once: who has not for so long is dead
MAX_FAILURES = 10  # in a row, over all workers: then the source is in trouble, not one request


class Turns(Protocol):
    """What a caller sees of a Gate, be it here or behind the Manager."""

    def enter(self, caller: str, timeout_s: float) -> bool: ...
    def leave(self, caller: str, calls: int, rate_limited: int = 0) -> None: ...
    def spent(self) -> int: ...
    def rate_limited(self) -> int: ...
    def forget(self, caller: str) -> None: ...
    def report(self, succeeded: bool) -> None: ...
    def is_open(self) -> bool: ...


class Gate:
    """A semaphore, a rate limiter and a circuit breaker for all callers of a run.

    Args:
        concurrency: API calls in flight at once.
        per_second: API calls a second.
        burst: how many may go at once after a rest.
    """

    def __init__(self, concurrency: int, per_second: float, burst: int) -> None:
        self._concurrency = concurrency
        self._changed = threading.Condition()
        # Who waits, in order, and until when that place is kept (None: waiting in a call now).
        self._waiting: OrderedDict[str, float | None] = OrderedDict()
        self._inside: dict[str, float] = {}  # who has a turn, and when the lease ends
        self._failures = 0
        self._spent = 0
        self._rate_limited = 0
        self._lease_s = LEASE_S
        # Not `sleep_and_retry`: its sleeper could not be told to stop.
        self._spend = limits(calls=burst, period=EVENNESS * burst / per_second)(lambda: None)

    def enter(self, caller: str, timeout_s: float) -> bool:
        """Waits for a turn; a caller that gives up after `timeout_s` keeps its place in the queue.

        Returns:
            whether the caller may make one call now; it must `leave` after it.
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
        """Gives the turn back, and tells how many calls left during it, and were answered 429."""
        with self._changed:
            self._spent += calls
            self._rate_limited += rate_limited
            self._inside.pop(caller, None)
            self._changed.notify_all()

    def spent(self) -> int:
        """All calls that have left, retries included."""
        return self._spent

    def rate_limited(self) -> int:
        """Those of them that the source answered with 429, or what it sends instead."""
        return self._rate_limited

    def forget(self, caller: str) -> None:
        """Takes back what a caller holds that died."""
        with self._changed:
            self._inside.pop(caller, None)
            self._waiting.pop(caller, None)
            self._changed.notify_all()

    def report(self, succeeded: bool) -> None:
        """Counts failures in a row; MAX_FAILURES of them open the circuit for this run."""
        with self._changed:
            self._failures = 0 if succeeded else self._failures + 1

    def is_open(self) -> bool:
        """Whether the run should end early because the source keeps failing."""
        return self._failures >= MAX_FAILURES

    def _delay(self, caller: str) -> float:
        """0 and a call spent, or how long to wait before it makes sense to look again."""
        self._drop_the_dead(time.monotonic())
        is_next = next(iter(self._waiting), None) == caller
        if not is_next or len(self._inside) >= self._concurrency:
            return 1.0
        return self._pace()

    def _pace(self) -> float:
        """0 and a call spent, or how long it is until one may be."""
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


class _GateManager(BaseManager):
    """Serves one Gate to the workers, wherever they run."""


class _GateClient(BaseManager):
    """Reaches a Gate that another process serves."""


_GateClient.register("gate")


@dataclass(frozen=True, slots=True)
class GateAddress:
    """Where a served Gate is, in a form that can be sent to a worker."""

    address: str | tuple[str, int]
    key: bytes

    def connect(self) -> Turns:
        manager = _GateClient(address=self.address, authkey=self.key)
        manager.connect()
        return cast(Turns, manager.gate())  # type: ignore[attr-defined]


class GateServer:
    """The Manager process that holds the run's Gate.

    Args:
        address: for workers of other hosts; by default only this host can reach it.
    """

    def __init__(self, gate: Gate, address: tuple[str, int] | None = None) -> None:
        self._key = secrets.token_bytes(32)
        _GateManager.register("gate", callable=lambda: gate)
        fork = multiprocessing.get_context("fork")
        # A name without a file: of a run that is killed none would be left behind.
        local = f"\0mangahub-gate-{secrets.token_hex(16)}"
        self._manager = _GateManager(address=address or local, authkey=self._key, ctx=fork)
        self._manager.start(_survive_signals, (os.getpid(),))
        self.gate = self.address.connect()

    @property
    def address(self) -> GateAddress:
        address = cast("bytes | tuple[str, int]", self._manager.address)
        name = address.decode() if isinstance(address, bytes) else address
        return GateAddress(name, self._key)

    def forget(self, caller: str) -> None:
        """As Gate.forget; says nothing where the Manager is gone too."""
        with suppress(EOFError, ConnectionError):
            self.gate.forget(caller)

    def close(self) -> tuple[int, int]:
        """Ends the Manager; returns how many calls have left in all, and were answered 429."""
        spent = rate_limited = 0
        with suppress(EOFError, ConnectionError):
            spent, rate_limited = self.gate.spent(), self.gate.rate_limited()
        del self.gate  # and with it its connection, whoever still holds this server
        self._manager.shutdown()
        return spent, rate_limited


def _survive_signals(parent: int) -> None:
    """The parent decides when the Manager ends, and its death ends the Manager too."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with(parent)
