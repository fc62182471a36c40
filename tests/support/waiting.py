"""Waiting for a server or a program that cannot tell us when it is ready."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic


def wait_for(condition: Callable[[], object], timeout_s: float = 10) -> None:
    """Asks until it is so; fails when time is up."""
    pause, deadline_s = threading.Event(), monotonic() + timeout_s
    while not condition():
        assert monotonic() < deadline_s, "it did not come about in time"
        pause.wait(0.01)
