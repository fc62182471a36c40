"""What a worker process builds once, after the fork, and keeps: API client and connection."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sql
from batch.config import Config
from batch.errors import BatchError
from batch.limits.gate import GateAddress, Turns
from batch.limits.host_budget import HostBudget
from batch.limits.permit import Budget, Calls
from batch.mangadex.client import MangaDex
from batch.mangadex.http import Session
from batch.stop import Stop
from batch.workers import pool


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """All that a worker has to know; sent along with each task."""

    config: Config
    database_url: str
    gate: GateAddress


def open_api(
    config: Config, turns: Turns, caller: str, stop: Stop, budget: Budget | None = None
) -> MangaDex:
    """A client whose calls go through the run's gate and a budget, by default the host's."""
    budget = budget or HostBudget(config.api_url, config.rate_per_second, config.rate_burst)
    calls = Calls(turns, budget, caller, stop)
    return MangaDex(Session(config.api_url, config.api_key, calls), calls)


class Worker:
    """The resources of one worker: a process of this host's pool, or a thread on a cluster."""

    def __init__(self, api: MangaDex, database_url: str) -> None:
        self.api = api
        self._url = database_url
        self._connection: sql.Connection | None = None

    def close(self) -> None:
        self.api.close()
        if self._connection is not None:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sql.Connection]:
        """One transaction; a lost connection is replaced by the next one.

        Raises:
            sql.SqlError: the database is away, or cannot store.
        """
        if self._connection is None or self._connection.closed:
            self._connection = sql.connect(self._url, "mangahub-batch worker")
        with sql.translated(), self._connection.transaction():
            yield self._connection


class _Here(threading.local):
    """What a thread has: a process of the local pool has only one."""

    worker: Worker | None = None


_here = _Here()


def employ(worker: Worker) -> None:
    """Makes it the one that the tasks of this thread find."""
    _here.worker = worker


def this_worker(settings: WorkerSettings) -> Worker:
    """The resources of this worker; in the local pool they are made at the first task."""
    if _here.worker is None:
        employ(_local_worker(settings))
    assert _here.worker is not None
    return _here.worker


def _local_worker(settings: WorkerSettings) -> Worker:
    stop = pool.current_stop
    if stop is None:
        raise BatchError("this process is no worker")
    name = multiprocessing.current_process().name
    api = open_api(settings.config, settings.gate.connect(), name, stop)
    return Worker(api, settings.database_url)
