"""What runs in a Dask worker: a run's tasks, each with a client and connection of its own.

A Dask worker outlives runs. What it holds for a run ends when the program says so, or when the
database session that holds the workflow's lock is gone: then the program has died.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import dask
from distributed import Semaphore

import sql
from batch.stop import EventStop
from batch.workers.child import TaskOutcome, kept_records, outcome_of
from batch.workers.worker import SESSION_NAME, GateAddress, WorkerSettings, WorkersOfThreads

LOOK_S = 2.0  # between two looks whether the program is alive
LEASE_TIMEOUT = "1.5s"  # then a worker that died or was stopped is no more counted as in flight


@dataclass(frozen=True, slots=True)
class SemaphoreAddress:
    """The run's gate: a semaphore of the scheduler, made by the first worker that asks for it."""

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
        return bool(self._semaphore.acquire(timeout=timeout_s))

    def leave(self, caller: str, calls: int, rate_limited: int = 0) -> None:
        self._semaphore.release()


@dataclass(frozen=True, slots=True, repr=False)
class JobResult:
    """What became of a job.

    Attributes:
        records: what was logged meanwhile.
        requests: how many left.
        rate_limited: how many of them were answered with 429.
    """

    outcome: TaskOutcome
    records: list[logging.LogRecord]
    requests: int
    rate_limited: int


def perform(settings: WorkerSettings, session_pid: int, call: Callable[[], object]) -> JobResult:
    """Make a call in a Dask worker; its errors are part of the result, as Dask would log them.

    Args:
        session_pid: of the database session that lives as long as the run.
    """
    with _lock:
        run = _runs.get(settings.gate) or _Run(settings, session_pid)
    with run.workers.use() as worker, kept_records() as records:
        permits = worker.permits
        requests, rate_limited = permits.count, permits.rate_limited
        outcome = outcome_of(call, run.stop)
        counts = permits.count - requests, permits.rate_limited - rate_limited
        return JobResult(outcome, records, *counts)


def stop_run(gate: GateAddress) -> None:
    """End every wait of the run's tasks in this process, and free what it held."""
    if (run := _runs.get(gate)) is not None:
        run.stop.set()


class _Run:
    """What this process holds for one run."""

    def __init__(self, settings: WorkerSettings, session_pid: int) -> None:
        self.stop = EventStop()
        self.workers = WorkersOfThreads(settings, self.stop)
        _runs[settings.gate] = self
        logging.getLogger("batch").setLevel(settings.config.log_level)
        threading.Thread(target=self._watch, args=(settings, session_pid), daemon=True).start()

    def _watch(self, settings: WorkerSettings, session_pid: int) -> None:
        """Wait for the end of the run, or of its program; then free everything."""
        query = "SELECT FROM pg_stat_activity WHERE pid = %s"
        with suppress(sql.SqlError), sql.connect(settings.database_url, SESSION_NAME) as connection:
            while not self.stop.is_set_within(LOOK_S):
                with sql.translated():
                    if connection.execute(query, [session_pid]).fetchone() is None:
                        break
        self.stop.set()
        del _runs[settings.gate]
        self.workers.close()


_runs: dict[GateAddress, _Run] = {}
_lock = threading.Lock()
