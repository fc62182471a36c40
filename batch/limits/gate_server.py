"""The Manager process that serves a run's gate to the workers.

A Manager that is stopped does not answer, and its connections have no timeout, so every call has
one here. A Manager that cannot start a thread ends, and so do the runs that wait for it.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.managers import BaseManager
from types import FrameType
from typing import cast

from batch.errors import BatchError
from batch.limits.gate import Gate
from batch.process import become_child

ANSWER_S = 5.0  # for a call, in addition to its wait for a turn
COUNTS_S = 2.0  # for the counts at the end of a run

log = logging.getLogger(__name__)

_ENDED = "the process that serves this run's gate has ended (out of memory or threads?)"
_SILENT = "the process that serves this run's gate does not answer"


class _Manager(BaseManager):
    """Serves one Gate to the workers."""


class _Client(BaseManager):
    """Reaches a Gate that another process serves."""


_Client.register("gate")


@dataclass(frozen=True, slots=True)
class ManagerAddress:
    """Where a served Gate is; can be sent to a worker."""

    address: str
    key: bytes

    def connect(self) -> ServedGate:
        """Return the gate as the main thread of this process may use it.

        Raises:
            BatchError: its process has ended, or does not answer.
        """
        with _answer_within(ANSWER_S):
            manager = _Client(address=self.address, authkey=self.key)
            manager.connect()
            return ServedGate(cast(Gate, manager.gate()))  # type: ignore[attr-defined]


class ServedGate:
    """A Gate in another process; each call raises BatchError if that does not answer."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._is_lost = False

    def enter(self, caller: str, timeout_s: float) -> bool:
        with self._answer_within(timeout_s + ANSWER_S):
            return self._gate.enter(caller, timeout_s)

    def leave(self, caller: str, calls: int, rate_limited: int = 0) -> None:
        with self._answer_within(ANSWER_S):
            self._gate.leave(caller, calls, rate_limited)

    def forget(self, caller: str) -> None:
        with self._answer_within(ANSWER_S):
            self._gate.forget(caller)

    def counts(self) -> tuple[int, int]:
        """Return how many calls have left, and how many were answered with 429."""
        with self._answer_within(COUNTS_S):
            return self._gate.spent(), self._gate.rate_limited()

    @contextmanager
    def _answer_within(self, limit_s: float) -> Iterator[None]:
        """Make a call within its time; a process that failed to answer once gets none again."""
        if self._is_lost:
            raise BatchError(_SILENT)
        self._is_lost = True
        with _answer_within(limit_s):
            yield
        self._is_lost = False


class GateServer:
    """The Manager process that holds the run's Gate."""

    def __init__(self, gate: Gate) -> None:
        self._key = secrets.token_bytes(32)
        _Manager.register("gate", callable=lambda: gate)
        fork = multiprocessing.get_context("fork")
        # An abstract socket: a run that is killed leaves no file behind.
        address = f"\0mangahub-gate-{secrets.token_hex(16)}"
        self._manager = _Manager(address=address, authkey=self._key, ctx=fork)
        try:
            with _answer_within(ANSWER_S):
                self._manager.start(_become_manager, (os.getpid(),))
            self.gate = self.address.connect()
        except BatchError:
            self._kill()
            raise

    @property
    def address(self) -> ManagerAddress:
        address = cast("str | bytes", self._manager.address)
        return ManagerAddress(
            address.decode() if isinstance(address, bytes) else address, self._key
        )

    def forget(self, caller: str) -> None:
        """Release as Gate.forget does; do nothing if the Manager has ended too."""
        with suppress(BatchError):
            self.gate.forget(caller)

    def close(self) -> tuple[int, int]:
        """End the Manager; return how many calls have left, and how many were answered with 429."""
        counts = 0, 0
        try:
            counts = self.gate.counts()
        except BatchError as exc:
            log.warning("The requests of this run were not counted: %s", str(exc))
        self._kill()
        del self.gate  # closes its connection, even if this object is still referenced
        self._manager.shutdown()
        return counts

    def _kill(self) -> None:
        """Kill the Manager: it has nothing to finish, and a stopped one would not notice TERM."""
        process = getattr(self._manager, "_process", None)
        if process is not None and process.pid is not None:
            process.kill()
            process.join()


def _become_manager(parent: int) -> None:
    become_child(parent)
    # If a thread fails, the others would wait for it.
    threading.excepthook = lambda _: os._exit(1)


@contextmanager
def _answer_within(limit_s: float) -> Iterator[None]:
    """Raise BatchError if the block, which talks to the Manager, fails or does not end in time.

    The end of a run uses the same timer (batch/stop.py); it may be set before the block or in it.
    """

    def give_up(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    began_s = time.monotonic()
    handler = signal.signal(signal.SIGALRM, give_up)
    left_s, interval_s = signal.getitimer(signal.ITIMER_REAL)
    signal.setitimer(signal.ITIMER_REAL, min(limit_s, left_s or limit_s))
    try:
        yield
    except TimeoutError as exc:
        raise BatchError(_SILENT) from exc
    except (EOFError, OSError) as exc:
        raise BatchError(_ENDED) from exc
    finally:
        if not signal.getitimer(signal.ITIMER_REAL)[1]:  # otherwise the block has set it
            rest_s = max(left_s - time.monotonic() + began_s, 0.01) if left_s else 0
            signal.setitimer(signal.ITIMER_REAL, rest_s, interval_s)
        signal.signal(signal.SIGALRM, handler)
