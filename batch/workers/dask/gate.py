"""The gate of a cluster: turns as ever, and one budget for all hosts.

`HostBudget` paces one host by a file; here the same is done by asking. A slot is asked for when a
connection stands, held until the request's bytes have left, and the call is counted from the
moment at which the news of that arrives. So neither a slow worker nor the way between two hosts
lets calls move closer; the way costs its own time instead.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from batch.limits.gate import Gate, Turns
from batch.limits.host_budget import MAX_PAUSE_S, HostBudget, Pace, Spent, wait_a_little
from batch.limits.permit import gate_errors
from batch.stop import Stop

CLUSTER_SPACING = 1.06  # more than on one host: the ways to the source differ from host to host
SLOT_LEASE_S = 5.0  # sending takes milliseconds; who holds a slot for longer hangs or is cut off


class Slots(Gate):
    """One slot after the other; a call counts from when its slot was given back."""

    def __init__(self, per_second: float, burst: int) -> None:
        super().__init__(1, per_second, burst)
        self._lease_s = SLOT_LEASE_S
        self._rule = Pace(per_second, burst, CLUSTER_SPACING)
        # The program itself may just have called, to see whether the source is well.
        self._last = self._rule.after_a_call(Spent(), time.monotonic())
        self._paused_until_s = 0.0

    def leave(self, caller: str, calls: int = 0, rate_limited: int = 0) -> None:
        with self._changed:
            self._last = self._rule.after_a_call(self._last, time.monotonic())
            super().leave(caller, calls, rate_limited)

    def forget(self, caller: str) -> None:
        """Whether its bytes have left nobody knows; they count."""
        with self._changed:
            if caller in self._inside:
                self.leave(caller)
            super().forget(caller)

    def pause(self, seconds: float) -> None:
        until_s = time.monotonic() + min(max(seconds, 0.0), MAX_PAUSE_S)
        with self._changed:
            self._paused_until_s = max(self._paused_until_s, until_s)

    def pause_left(self) -> float:
        return self._paused_until_s - time.monotonic()

    def _pace(self) -> float:
        due_s = max(self._rule.due(self._last), self._paused_until_s)
        return max(due_s - time.monotonic(), 0.0)


class ClusterTurns(Turns, Protocol):
    """What a worker of a cluster sees of a ClusterGate."""

    def take_slot(self, caller: str, timeout_s: float) -> bool: ...
    def return_slot(self, caller: str) -> None: ...
    def pause(self, seconds: float) -> None: ...
    def pause_left(self) -> float: ...
    def end(self) -> None: ...
    def wait_end(self, timeout_s: float) -> bool: ...


class ClusterGate(Gate):
    """A Gate that also gives slots, and says when the run ends.

    To be served by a Manager: what a caller holds comes back when its connection closes.
    """

    def __init__(self, concurrency: int, per_second: float, burst: int) -> None:
        super().__init__(concurrency, per_second, burst)
        self._slots = Slots(per_second, burst)
        self._ended = threading.Event()
        # The Manager serves each connection by a thread of its own, which ends with it.
        self._connection = threading.local()

    def enter(self, caller: str, timeout_s: float) -> bool:
        self._tie(caller)
        return not self._ended.is_set() and super().enter(caller, timeout_s)

    def forget(self, caller: str) -> None:
        super().forget(caller)
        self._slots.forget(caller)

    def take_slot(self, caller: str, timeout_s: float) -> bool:
        """Waits for the next slot; True obliges the caller to return it once its bytes have left.

        A caller that gives up after `timeout_s` keeps its place in the queue for a while.
        """
        self._tie(caller)
        return not self._ended.is_set() and self._slots.enter(caller, timeout_s)

    def return_slot(self, caller: str) -> None:
        self._slots.leave(caller)

    def pause(self, seconds: float) -> None:
        """Lets nobody call for so long; a longer pause stays."""
        self._slots.pause(seconds)

    def pause_left(self) -> float:
        """Seconds; negative when it is over."""
        return self._slots.pause_left()

    def end(self) -> None:
        """From now on nobody is let in, and who waits for the end is told."""
        self._ended.set()

    def wait_end(self, timeout_s: float) -> bool:
        """Whether the run has ended, or does within the time."""
        return self._ended.wait(timeout_s)

    def _pace(self) -> float:
        """Turns are not paced: a caller would wait twice."""
        return 0.0

    def _tie(self, caller: str) -> None:
        if not hasattr(self._connection, "tie"):
            self._connection.tie = _Tie(self.forget, caller)


class _Tie:
    """Lives as long as the thread in whose local store it is, and then lets its caller go."""

    def __init__(self, forget: Callable[[str], None], caller: str) -> None:
        self._forget = forget
        self._caller = caller

    def __del__(self) -> None:
        self._forget(self._caller)


class ClusterBudget:
    """The cluster's budget, and around it the host's, which other runs share.

    The host's slot comes first, so that a host that is busy with another run does not hold up
    the cluster.
    """

    def __init__(self, host: HostBudget, turns: ClusterTurns, caller: str) -> None:
        self._host = host
        self._turns = turns
        self._caller = caller

    @contextmanager
    def slot(self, stop: Stop) -> Iterator[None]:
        """As HostBudget.slot."""
        with self._host.slot(stop):
            with gate_errors():
                while not self._turns.take_slot(self._caller, 0.5):
                    stop.check()
                    self._sit_out(stop)
            try:
                yield
            finally:
                with gate_errors():
                    self._turns.return_slot(self._caller)

    def pause(self, seconds: float, stop: Stop) -> None:
        """For the whole cluster: its hosts may well be one address to the source."""
        with gate_errors():
            self._turns.pause(seconds)
        self._host.pause(seconds, stop)

    def sit_out_pause(self, stop: Stop) -> None:
        """As HostBudget.sit_out_pause."""
        self._host.sit_out_pause(stop)
        with gate_errors():
            self._sit_out(stop)

    def _sit_out(self, stop: Stop) -> None:
        while (left_s := self._turns.pause_left()) > 0:
            wait_a_little(left_s, stop)
