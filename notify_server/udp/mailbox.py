"""The one way into the UDP thread: a queue of calls that wakes it up."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)


class Mailbox:
    """Any thread may `put`; the rest belongs to the UDP thread."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def put(self, call: Callable[[], object]) -> None:
        """Have the UDP thread make this call."""
        self._calls.append(call)
        os.eventfd_write(self._wake, 1)

    def __len__(self) -> int:
        return len(self._calls)

    def make_calls(self) -> None:
        """Make the calls that are queued now; later ones wait for the next turn."""
        for _ in range(len(self._calls)):
            try:
                self._calls.popleft()()
            except Exception:
                log.exception("Unexpected error in a call of another thread")

    def fileno(self) -> int:
        """Return a file descriptor that is readable when something was put."""
        return self._wake

    def clear(self) -> None:
        """Clear the file descriptor, which is readable now, until the next call."""
        os.eventfd_read(self._wake)

    def close(self) -> None:
        os.close(self._wake)
        self._wake = -1
