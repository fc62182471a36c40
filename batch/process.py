"""Child processes that never outlive their parent, whatever kills it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from batch.errors import BatchError

_PR_SET_PDEATHSIG = 1  # prctl(2), Linux
_FORK = multiprocessing.get_context("fork")


def start_child(target: Callable[..., None], *arguments: Any, name: str) -> BaseProcess:
    """Fork a process that calls `target`.

    Raises:
        BatchError: the system has no process or memory left for it.
    """
    child = _FORK.Process(target=target, args=arguments, name=name)
    try:
        child.start()
    except OSError as exc:
        raise BatchError(f"no process can be started for {name}: {exc.strerror}") from exc
    return child


def become_child(parent: int) -> None:
    """Set up a forked process, whose end the parent decides.

    The signals of a terminal go to all its processes; the parent alone obeys them.

    Args:
        parent: the process id that forked this one.
    """
    die_with_parent(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process as soon as its parent is gone.

    Transactions of a child that is killed are rolled back; its connections and locks are free at
    once, so that the next run need not wait for it.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before prctl was called
        os._exit(1)
