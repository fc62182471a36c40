"""Stopping on TERM and INT: waits end at once, work in flight is finished."""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import FrameType
from typing import Protocol

from batch.errors import Stopped


class Stop(Protocol):
    """What code that waits has to ask."""

    def check(self) -> None:
        """Raise Stopped once the run has been asked to stop."""

    def wait(self, seconds: float) -> None:
        """Sleep; raise Stopped as soon as the run is asked to stop."""


GRACE_S = 8.0  # for what is in flight when the run is stopped; ten seconds are promised
LAST_S = 0.5  # after it, for each thing that is still to be done, as recording how the run ended


class SignalStop:
    """Listens to TERM and INT in the main process; the second signal leaves at once.

    A pipe carries the news, so that a wait in `select` ends without polling.

    Attributes:
        at_once: called by the second signal.
        signal_number: the first one, once it has come.
        interrupts: whether GRACE_S after the signal the main thread is torn out of what it does,
            and LAST_S later of what it does then: a source that does not answer, or a table that
            somebody keeps locked, would hold it for longer.
    """

    def __init__(self, at_once: Callable[[], None] = lambda: None) -> None:
        self.at_once = at_once
        self.signal_number: int | None = None
        self.interrupts = True
        self._is_listening = False
        self._grace_ends_s = 0.0
        self._read_end, self._write_end = os.pipe()

    def fileno(self) -> int:
        """Return a descriptor that is readable once a signal has come."""
        return self._read_end

    def check(self) -> None:
        if self.signal_number is not None:
            raise Stopped(self.signal_number)

    def wait(self, seconds: float) -> None:
        self.check()
        select.select([self._read_end], [], [], max(seconds, 0))
        self.check()

    @property
    def grace_left(self) -> float:
        """How many seconds what is in flight may still take; all of them before a signal."""
        if self.signal_number is None:
            return GRACE_S
        return max(self._grace_ends_s - time.monotonic(), 0.0)

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let no signal interrupt the block, which has to be done, and ends in time."""
        before, self.interrupts = self.interrupts, False
        try:
            yield
        finally:
            self.interrupts = before
            if self.signal_number is not None:
                self._set_alarm()

    def close(self) -> None:
        os.close(self._read_end)
        os.close(self._write_end)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal_number is not None:
            self.at_once()
            sys.stderr.flush()
            os._exit(128 + number)
        self._grace_ends_s = time.monotonic() + GRACE_S
        self.signal_number = number
        os.write(self._write_end, b"!")
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Set a repeating alarm: what follows the first one may hang too."""
        if self._is_listening:  # otherwise it would not be caught
            signal.setitimer(signal.ITIMER_REAL, max(self.grace_left, LAST_S), LAST_S)

    def _lose_patience(self, _number: int, _frame: FrameType | None) -> None:
        if self.interrupts and self._is_listening and self.signal_number is not None:
            raise Stopped(self.signal_number)


@contextmanager
def listening() -> Iterator[SignalStop]:
    """Handle TERM and INT for the time of a run, and give the old handlers back after it."""
    stop = SignalStop()
    before = {
        number: signal.signal(number, stop._handle) for number in (signal.SIGTERM, signal.SIGINT)
    }
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, stop._lose_patience)
    stop._is_listening = True
    try:
        yield stop
    finally:
        stop._is_listening = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        stop.close()


class PipeStop:
    """A worker's view: anything that its parent says during a task, or its death, means stop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def check(self) -> None:
        self.wait(0)

    def wait(self, seconds: float) -> None:
        if self._connection.poll(max(seconds, 0)):
            raise Stopped(signal.SIGTERM)


class EventStop:
    """The stop of what runs in a thread; another thread sets it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def is_set_within(self, seconds: float) -> bool:
        """Return whether it is set; wait for so long where it is not."""
        return self._event.wait(max(seconds, 0))

    def check(self) -> None:
        self.wait(0)

    def wait(self, seconds: float) -> None:
        if self.is_set_within(seconds):
            raise Stopped(signal.SIGTERM)
