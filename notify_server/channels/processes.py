"""The sending processes: started when needed, each with one delivery at a time.

Whatever a server, a name server or a library does, a delivery ends after `DELIVERY_S`: its process
is killed. One that has nothing to do for a while ends.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic

from notify_server.channels import by_apprise, worker
from notify_server.channels.failures import Receipt
from readers.channels.messages import Delivery

log = logging.getLogger(__name__)

DELIVERY_S = 15.0
_IDLE_S = 60.0
_FORK = multiprocessing.get_context("fork")


@dataclass(slots=True, eq=False)
class _Process:
    """A sending process.

    Attributes:
        delivery: what it sends; None while it is idle.
        since: monotonic time at which it began to send, or to be idle.
    """

    process: BaseProcess
    connection: Connection
    delivery: Delivery | None
    since: float

    def end(self) -> None:
        self.connection.close()
        self.process.kill()
        self.process.join()
        self.process.close()


class Processes:
    """All sending processes; one thread uses them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._apprise = by_apprise.load()
        self._all: list[_Process] = []

    @property
    def under_way(self) -> list[Delivery]:
        return [each.delivery for each in self._all if each.delivery is not None]

    @property
    def connections(self) -> list[Connection]:
        """What becomes readable when a delivery has ended."""
        return [each.connection for each in self._all if each.delivery is not None]

    def start(self, delivery: Delivery) -> None:
        """Begin a delivery.

        Raises:
            OSError: the system has no process or memory left for it.
        """
        idle = next((each for each in self._all if each.delivery is None), None)
        if idle is not None:
            try:
                idle.connection.send(delivery)
                idle.delivery, idle.since = delivery, monotonic()
                return
            except OSError:  # it has died meanwhile
                self._drop(idle)
        process = self._fork()
        process.connection.send(delivery)
        process.delivery = delivery

    def _fork(self) -> _Process:
        ours, theirs = _FORK.Pipe()
        process = _FORK.Process(
            target=worker.work, args=(os.getpid(), theirs, self._apprise), name="channels"
        )
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._all.append(_Process(process, ours, None, monotonic()))
        return self._all[-1]

    def collect(self) -> list[tuple[Delivery, Receipt]]:
        """Return the deliveries that have ended; end processes that hang, or are not needed."""
        ready = set(wait(self.connections, 0)) if self.connections else set()
        ended = []
        for each in list(self._all):
            age_s = monotonic() - each.since
            if each.delivery is None:
                if age_s > _IDLE_S:
                    self._drop(each)
            elif each.connection in ready or age_s > DELIVERY_S:
                ended.append((each.delivery, self._receipt(each, each.connection in ready)))
        return ended

    def _receipt(self, process: _Process, is_ready: bool) -> Receipt:
        delivery = process.delivery
        assert delivery is not None
        if not is_ready:
            self._drop(process)
            return Receipt(f"{delivery.server} took longer than {DELIVERY_S:.0f} seconds")
        try:
            receipt: Receipt = process.connection.recv()
        except (EOFError, OSError):
            self._drop(process)
            return Receipt("the sending process was killed")
        process.delivery, process.since = None, monotonic()
        return receipt

    def _drop(self, process: _Process) -> None:
        self._all.remove(process)
        process.end()

    def end(self) -> None:
        """Kill all processes."""
        for each in list(self._all):
            self._drop(each)
