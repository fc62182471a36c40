"""Child processes that never outlive their parent, whatever kills it."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from batch.errors import BatchError
from mangahub.processes import die_with_parent

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
