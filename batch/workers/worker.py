"""What a worker builds once and keeps: its API client and its database connection."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import sql
from batch.config import Config
from batch.errors import BatchError
from batch.limits.gate import Turns
from batch.limits.permit import Permits
from batch.mangadex.client import MangaDex
from batch.mangadex.http import Session
from batch.stop import EventStop, Stop
from batch.workers import child
from sql.budget import Budget, Pace

SESSION_NAME = "mangahub-batch worker"


class GateAddress(Protocol):
    """Where a run's gate is; can be sent to a worker."""

    def connect(self) -> Turns: ...


@dataclass(frozen=True, slots=True, repr=False)
class WorkerSettings:
    """All that a worker has to know; sent along with each task, and not shown: it holds secrets."""

    config: Config
    database_url: str
    gate: GateAddress


def open_permits(
    config: Config, turns: Turns, caller: str, stop: Stop, connect: Callable[[], sql.Connection]
) -> Permits:
    """Return the permits of a caller that asks the configured source."""
    pace = Pace(config.rate_per_second, config.rate_burst)
    return Permits(turns, Budget(connect, config.api_url, pace), caller, stop)


def open_api(config: Config, permits: Permits) -> MangaDex:
    """Return a client of the configured source; each request waits for its permit."""
    return MangaDex(Session(config.api_url, config.api_key, permits), permits)


class Worker:
    """The resources of one worker: a process of this host's pool, or a thread on a cluster."""

    def __init__(self, settings: WorkerSettings, turns: Turns, caller: str, stop: Stop) -> None:
        self._url = settings.database_url
        self._connection: sql.Connection | None = None
        self.permits = open_permits(settings.config, turns, caller, stop, self.connect)
        self.api = open_api(settings.config, self.permits)

    def close(self) -> None:
        self.api.close()
        if self._connection is not None:
            self._connection.close()

    def connect(self) -> sql.Connection:
        """Return the worker's connection; a lost one is replaced.

        Raises:
            sql.DatabaseDown: the database is unavailable.
        """
        if self._connection is None or self._connection.closed:
            self._connection = sql.connect(self._url, SESSION_NAME)
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[sql.Connection]:
        """Open one transaction.

        Raises:
            sql.SqlError: the database is unavailable, or cannot store.
        """
        connection = self.connect()
        with sql.translated(), connection.transaction():
            yield connection


class WorkersOfThreads:
    """The Workers of a process that does tasks in threads: as many as tasks are done at once.

    Args:
        stop: ends their waits; once it is set, a Worker is closed after the task that uses it.
    """

    def __init__(self, settings: WorkerSettings, stop: EventStop) -> None:
        self._settings = settings
        self._stop = stop
        self._turns = settings.gate.connect()
        self._idle: list[Worker] = []

    @contextmanager
    def use(self) -> Iterator[Worker]:
        """Let the tasks of this thread find a Worker, during the block."""
        worker = self._take() or Worker(self._settings, self._turns, "task", self._stop)
        set_worker(worker)
        try:
            yield worker
        finally:
            self._idle.append(worker)
            if self._stop.is_set_within(0):
                self.close()

    def close(self) -> None:
        """Close the Workers that no task uses."""
        while worker := self._take():
            worker.close()

    def _take(self) -> Worker | None:
        with suppress(IndexError):  # whoever asks first may have it
            return self._idle.pop()
        return None


class _Here(threading.local):
    """What a thread has: a process of the local pool has only one."""

    worker: Worker | None = None


_here = _Here()


def set_worker(worker: Worker | None) -> None:
    """Make it the one that the tasks of this thread find."""
    _here.worker = worker


def this_worker(settings: WorkerSettings) -> Worker:
    """Return the resources of this worker; in the local pool the first task makes them."""
    if _here.worker is None:
        if child.current_stop is None:
            raise BatchError("this process is not a worker")
        name = multiprocessing.current_process().name
        set_worker(Worker(settings, settings.gate.connect(), name, child.current_stop))
    assert _here.worker is not None
    return _here.worker
