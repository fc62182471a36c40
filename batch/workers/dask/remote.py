"""What runs in a Dask worker: a run's tasks, each thread with a client and connection of its own.

A Dask worker outlives runs. What it holds for a run ends when the program says so, or when the
database session that holds the workflow's lock is gone: then the program has died.
"""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from logging.handlers import QueueHandler
from typing import Any, cast

import sql
from batch.errors import BatchError, Stopped
from batch.workers.child import outcome_of
from batch.workers.worker import GateAddress, Worker, WorkerSettings, set_worker
from mangahub import __version__

LOOK_S = 2.0  # between two looks whether the program is alive


@dataclass(frozen=True, slots=True, repr=False)
class Job:
    """One call for a worker; shown without its arguments, which hold secrets.

    Attributes:
        session_pid: of the database session that lives as long as the run.
        function: called with the settings and the rest of the arguments.
        version: of the program that asks.
    """

    session_pid: int
    function: Callable[..., object]
    settings: WorkerSettings
    args: tuple[Any, ...]
    version: str = __version__


@dataclass(frozen=True, slots=True, repr=False)
class JobResult:
    """What became of a job.

    Attributes:
        records: what was logged meanwhile.
        requests: how many left.
        rate_limited: how many of them were answered with 429.
    """

    result: object
    error: BaseException | None
    records: list[logging.LogRecord] = field(default_factory=list)
    requests: int = 0
    rate_limited: int = 0


def perform(job: Job) -> JobResult:
    """Do a job; every error is part of the result, as Dask would log the arguments otherwise."""
    if job.version != __version__:
        text = f"{socket.gethostname()} has version {__version__}, the program {job.version}"
        return JobResult(None, BatchError(text))
    with _lock:
        run = _runs.get(job.settings.gate) or RemoteRun(job)
    return run.perform(job)


def stop_run(gate: GateAddress) -> None:
    """End every wait of the run's tasks in this process, and free what it held."""
    with _lock:
        run = _runs.get(gate)
    if run is not None:
        run.stop.set()


class EventStop:
    """The stop of a remote run."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def is_set_within(self, seconds: float) -> bool:
        return self._event.wait(seconds)

    def check(self) -> None:
        self.wait(0)

    def wait(self, seconds: float) -> None:
        if self._event.wait(max(seconds, 0)):
            raise Stopped(signal.SIGTERM)


class RemoteRun:
    """What this process holds for one run: a Worker for each thread that does its tasks."""

    def __init__(self, job: Job) -> None:
        self.stop = EventStop()
        self._settings = job.settings
        self._session_pid = job.session_pid
        self._turns = job.settings.gate.connect()
        self._workers: dict[str, tuple[Worker, threading.Lock]] = {}
        _runs[job.settings.gate] = self
        logging.getLogger("batch").setLevel(job.settings.config.log_level)
        threading.Thread(target=self._watch, name="mangahub-run", daemon=True).start()

    def perform(self, job: Job) -> JobResult:
        worker, busy = self._worker_of(threading.current_thread().name)
        set_worker(worker)
        permits = worker.permits
        requests, rate_limited = permits.count, permits.rate_limited
        with busy, _kept_records() as records:
            result, error = outcome_of(lambda: self._call(job))
        counts = permits.count - requests, permits.rate_limited - rate_limited
        return JobResult(result, error, records, *counts)

    def _call(self, job: Job) -> object:
        self.stop.check()
        return job.function(job.settings, *job.args)

    def _worker_of(self, thread: str) -> tuple[Worker, threading.Lock]:
        if thread not in self._workers:
            caller = f"{socket.gethostname()}:{thread}"
            worker = Worker(self._settings, self._turns, caller, self.stop)
            self._workers[thread] = worker, threading.Lock()
        return self._workers[thread]

    def _watch(self) -> None:
        """Wait for the end of the run, or of its program; then free everything."""
        url = self._settings.database_url
        with suppress(sql.SqlError), sql.connect(url, "mangahub-batch worker") as connection:
            while not self.stop.is_set_within(LOOK_S) and self._is_alive(connection):
                pass
        self.stop.set()
        with _lock:
            del _runs[self._settings.gate]
        for worker, busy in list(self._workers.values()):
            with busy:
                worker.close()

    def _is_alive(self, connection: sql.Connection) -> bool:
        query = "SELECT FROM pg_stat_activity WHERE pid = %s"
        with sql.translated():
            return connection.execute(query, [self._session_pid]).fetchone() is not None


_runs: dict[GateAddress, RemoteRun] = {}
_lock = threading.Lock()


@contextmanager
def _kept_records() -> Iterator[list[logging.LogRecord]]:
    """Keep what this thread logs meanwhile, in a form that can be sent."""
    handler = _Keeper()
    logger = logging.getLogger("batch")
    logger.addHandler(handler)
    try:
        yield handler.records
    finally:
        logger.removeHandler(handler)


class _Keeper(QueueHandler):
    """Keeps the records of the thread that made it."""

    def __init__(self) -> None:
        self.records: list[logging.LogRecord] = []
        super().__init__(cast(Any, self.records))
        self._thread = threading.get_ident()

    def enqueue(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.records.append(record)
