"""What a worker process builds once, after the fork, and keeps: API client and connection."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sql
from batch import pool
from batch.calls import Calls
from batch.config import Config
from batch.errors import BatchError
from batch.gate import GateAddress, Turns
from batch.host_budget import HostBudget
from batch.mangadex import MangaDex
from batch.session import Session
from batch.stop import Stop


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """All that a worker has to know; sent along with each task."""

    config: Config
    database_url: str
    gate: GateAddress


def open_api(config: Config, turns: Turns, caller: str, stop: Stop) -> MangaDex:
    """A client whose calls go through the run's gate and the host's budget."""
    budget = HostBudget(config.api_url, config.rate_per_second, config.rate_burst)
    calls = Calls(turns, budget, caller, stop)
    return MangaDex(Session(config.api_url, config.api_key, calls), calls)


class Worker:
    """The resources of one worker process."""

    def __init__(self, settings: WorkerSettings) -> None:
        stop = pool.current_stop
        if stop is None:
            raise BatchError("this process is no worker")
        name = multiprocessing.current_process().name
        self.api = open_api(settings.config, settings.gate.connect(), name, stop)
        self._url = settings.database_url
        self._connection: sql.Connection | None = None

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


_worker: Worker | None = None


def this_worker(settings: WorkerSettings) -> Worker:
    """The resources of this process, made at the first task."""
    global _worker
    if _worker is None:
        _worker = Worker(settings)
    return _worker
