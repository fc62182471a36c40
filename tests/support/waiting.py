"""Waiting for what cannot tell us when it is ready: a server, a program, rows of a database."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, sleep

PATIENCE_S = 30  # of a test on a busy machine; only a failure takes so long


def wait_until(condition: Callable[[], object], timeout_s: float = PATIENCE_S) -> None:
    """Return when the condition holds; fail when time is up."""
    deadline_s = monotonic() + timeout_s
    while not condition():
        assert monotonic() < deadline_s, f"the condition did not hold within {timeout_s} s"
        sleep(0.01)
