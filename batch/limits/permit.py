"""What one process needs before it may call the source: a turn, a slot, and no pause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from typing import Protocol

from batch.errors import BatchError, SourceDown
from batch.limits.gate import MAX_FAILURES, Turns
from batch.stop import Stop


class Budget(Protocol):
    """Says when a request may leave: HostBudget, or what a cluster has around it."""

    def slot(self, stop: Stop) -> AbstractContextManager[None]: ...
    def pause(self, seconds: float, stop: Stop) -> None: ...
    def sit_out_pause(self, stop: Stop) -> None: ...


class Calls:
    """The calls of one process; counts what leaves.

    Args:
        turns: the run's gate.
        budget: the host's, or the cluster's.
        caller: this process's name at the gate.
        stop: ends every wait.
    """

    def __init__(self, turns: Turns, budget: Budget, caller: str, stop: Stop) -> None:
        self._turns = turns
        self._budget = budget
        self._caller = caller
        self.stop = stop
        self.count = 0
        self.rate_limited = 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Lets the caller in, one of few at a time.

        Raises:
            SourceDown: the source failed so often in a row that the run should end.
            Stopped: the run has been asked to stop.
        """
        with gate_errors():
            if self._turns.is_open():
                raise SourceDown(f"the source failed {MAX_FAILURES} times in a row")
            while not self._turns.enter(self._caller, 0.5):
                self.stop.check()
        count, rate_limited = self.count, self.rate_limited
        try:
            self._budget.sit_out_pause(self.stop)
            yield
        finally:
            with gate_errors():
                self._turns.leave(
                    self._caller, self.count - count, self.rate_limited - rate_limited
                )

    @contextmanager
    def departure(self) -> Iterator[None]:
        """Around the sending of a request: waits for the host's next slot, and counts it."""
        with self._budget.slot(self.stop):
            self.count += 1
            yield

    def succeeded(self) -> None:
        with gate_errors():
            self._turns.report(True)

    def failed(self) -> None:
        with gate_errors():
            self._turns.report(False)

    def limited(self, span: timedelta) -> None:
        """The source has had too many calls; it wants a pause of so long."""
        self.rate_limited += 1
        self.pause(span)

    def pause(self, span: timedelta) -> None:
        """Stops the calls of every process of this host for so long."""
        self._budget.pause(span.total_seconds(), self.stop)


@contextmanager
def gate_errors() -> Iterator[None]:
    """Behind the Manager every call can find it gone."""
    try:
        yield
    except (EOFError, ConnectionError) as exc:
        raise BatchError("the process that shares the request budget has ended") from exc
