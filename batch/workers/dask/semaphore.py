"""How many requests of a run are in flight on a cluster: Dask's own semaphore as the run's gate."""

from __future__ import annotations

from dataclasses import dataclass

import dask
from distributed import Semaphore

# A worker that dies or stops gives its lease back after so long; the others go on meanwhile.
LEASE_TIMEOUT = "5s"


@dataclass(frozen=True, slots=True)
class SemaphoreAddress:
    """A semaphore of the cluster's scheduler, made by the first worker that asks for it."""

    name: str
    leases: int

    def connect(self) -> SemaphoreTurns:
        with dask.config.set({"distributed.scheduler.locks.lease-timeout": LEASE_TIMEOUT}):
            semaphore = Semaphore(max_leases=self.leases, name=self.name)
            semaphore.register()
        return SemaphoreTurns(semaphore)


class SemaphoreTurns:
    """The semaphore as the permits of a worker see it."""

    def __init__(self, semaphore: Semaphore) -> None:
        self._semaphore = semaphore

    def enter(self, caller: str, timeout_s: float) -> bool:
        try:
            return bool(self._semaphore.acquire(timeout=timeout_s))
        except OSError as exc:
            raise ConnectionError(str(exc)) from exc

    def leave(self, caller: str, calls: int, rate_limited: int = 0) -> None:
        self._semaphore.release()
