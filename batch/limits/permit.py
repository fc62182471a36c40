"""What a process needs to send the source a request: a turn of the run's gate, and a departure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from batch.errors import PauseRequested, SourceDown
from batch.limits.gate import Turns
from batch.stop import Stop
from sql.budget import MAX_FAILURES, Budget
from sql.errors import PausedForLong

LONGEST_PAUSE = timedelta(hours=1)  # a source with a wrong clock may ask for more


class Permits:
    """The permits of one process; counts the requests that leave.

    Args:
        turns: the run's gate.
        budget: shared by all programs that use this source.
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
        """Hold one of the run's turns in the block; wait for the end of a pause before it.

        Raises:
            SourceDown: the source failed too often in a row.
            PauseRequested: the source asked for a longer pause than a run waits.
            Stopped: the run has been asked to stop.
            BatchError: the gate's process has ended.
        """
        while not self._turns.enter(self._caller, 0.5):
            self.stop.check()
        count, rate_limited = self.count, self.rate_limited
        try:
            self._require_source()
            yield
        finally:
            self._turns.leave(self._caller, self.count - count, self.rate_limited - rate_limited)

    @contextmanager
    def departure(self) -> Iterator[None]:
        """Wait until a request may leave; the block has to send it at once.

        Raises:
            PauseRequested, Stopped: as `turn`.
        """
        with _long_pauses(), self._budget.departure(self.stop.wait):
            self.count += 1
            yield

    def allow_probe(self) -> None:
        """Allow one request to a source that failed too often."""
        self._budget.allow_probe()

    def succeeded(self) -> None:
        """Record that the source answered as it should."""
        self._budget.count_success()

    def failed(self) -> None:
        """Count a failure of the source; too many in a row end every run."""
        self._budget.count_failure()

    def limited(self, span: timedelta) -> None:
        """Record that the source answered 429, and pause for as long as it asks."""
        self.rate_limited += 1
        self.pause(span)

    def pause(self, span: timedelta, longest: timedelta = LONGEST_PAUSE) -> None:
        """Let no program send the source a request for so long."""
        self._budget.pause(min(span, longest).total_seconds())

    def _require_source(self) -> None:
        with _long_pauses():
            state = self._budget.await_pause_end(self.stop.wait)
        if state.is_open:
            raise SourceDown(f"the source failed {MAX_FAILURES} times in a row")


@contextmanager
def _long_pauses() -> Iterator[None]:
    try:
        yield
    except PausedForLong as exc:
        raise PauseRequested(str(exc)) from exc
