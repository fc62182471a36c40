"""Stopping what runs until TERM or INT."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Protocol

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stoppable(Protocol):
    """What runs until it is asked to stop."""

    def request_stop(self) -> None:
        """Make it end; a signal handler calls this."""

    def stop(self) -> None:
        """Finish what is in flight, and close everything."""


@contextmanager
def stopped_by_signals(server: Stoppable) -> Iterator[None]:
    """Stop the server in order at the first signal, exit at once at the second."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        server.request_stop()

    before = {number: signal.signal(number, handle) for number in _STOP_SIGNALS}
    try:
        yield
    finally:
        server.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
