"""A child that must not outlive its parent, whatever kills it."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux


def die_with(parent: int) -> None:
    """Has the kernel kill this process as soon as `parent`, which forked it, is gone.

    Transactions of a child that is killed are rolled back; its connections and locks are free at
    once, so that the next run need not wait for it.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the kernel knew
        os._exit(1)
