"""A signal is remembered, and acted upon where nothing is half done: so nothing is left over."""

from __future__ import annotations

import signal
from types import FrameType

_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """The tour was asked to end."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.number = number


class Signals:
    """Listens from its making on; children get the usual behaviour back when they start."""

    def __init__(self) -> None:
        self._number: int | None = None
        for number in _NUMBERS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup wants it
                signal.signal(number, self._remember)

    def check(self) -> None:
        """Raises Interrupted once a signal has come."""
        if self._number is not None:
            raise Interrupted(self._number)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self._number = self._number or number
