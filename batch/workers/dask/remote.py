"""The part of a Dask worker: does one task of a run at a time in each of its threads.

    perform → Visit (one a run and process) → a thread of its own → the job's function
                └ stays until the gate says that the run has ended, or is gone; then lets all go

A Dask worker outlives runs and may have several threads. API client and database connection are
for one thread each, so a visit has threads of its own: what belongs to them ends with them.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from logging.handlers import QueueHandler
from typing import Any, cast

from batch.errors import BatchError, Stopped
from batch.limits.gate import GateAddress
from batch.limits.host_budget import HostBudget
from batch.workers.dask.gate import ClusterBudget, ClusterTurns
from batch.workers.pool import outcome_of
from batch.workers.worker import Worker, WorkerSettings, employ, open_api
from mangahub import __version__

MAX_THREADS = 64  # as many as MANGA_SYNC_WORKERS may be


@dataclass(frozen=True, slots=True, repr=False)
class Job:
    """One call for a worker; shown without its arguments, which hold secrets.

    Attributes:
        version: of the program that asks.
        function: called with the settings and the rest of the arguments.
    """

    function: Callable[..., object]
    settings: WorkerSettings
    args: tuple[Any, ...]
    version: str = __version__


@dataclass(frozen=True, slots=True, repr=False)
class Outcome:
    """What became of a job, and what was logged meanwhile."""

    result: object
    error: BaseException | None
    records: list[logging.LogRecord] = field(default_factory=list)


def perform(job: Job) -> Outcome:
    """Does a job; every error is part of the outcome, as Dask would log the arguments otherwise."""
    if job.version != __version__:
        text = f"{socket.gethostname()} has version {__version__}, the program {job.version}"
        return Outcome(None, BatchError(text))
    try:
        return _visit_of(job.settings).do(job)
    except BatchError as exc:
        return Outcome(None, exc)


class EventStop:
    """A visit's view: stopped once the run has ended."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        self.wait(0)

    def wait(self, seconds: float) -> None:
        if self._event.wait(max(seconds, 0)):
            raise Stopped(signal.SIGTERM)


class Visit:
    """What this process holds for one run.

    Raises:
        BatchError: the run's gate cannot be reached from here.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._turns = _connect(settings.gate)
        self._stop = EventStop()
        self._threads = ThreadPoolExecutor(MAX_THREADS, "mangahub", self._settle_in)
        self._belongings = ExitStack()
        logging.getLogger("batch").setLevel(settings.config.log_level)
        threading.Thread(target=self._stay, name="mangahub-visit", daemon=True).start()

    def do(self, job: Job) -> Outcome:
        """Does the job in a thread of the visit.

        Raises:
            Stopped: the run has ended.
        """
        try:
            future = self._threads.submit(self._do, job)
        except RuntimeError as exc:  # they have been shut down
            raise Stopped(signal.SIGTERM) from exc
        return future.result()

    def _do(self, job: Job) -> Outcome:
        with _kept_records() as records:
            result, error = outcome_of(lambda: self._call(job))
        return Outcome(result, error, records)

    def _call(self, job: Job) -> object:
        self._stop.check()
        return job.function(job.settings, *job.args)

    def _settle_in(self) -> None:
        """Once in each thread: builds what its tasks will ask `this_worker` for."""
        config = self._settings.config
        caller = f"{socket.gethostname()}:{os.getpid()}:{threading.get_ident()}"
        host = HostBudget(config.api_url, config.rate_per_second, config.rate_burst)
        budget = ClusterBudget(host, self._turns, caller)
        api = open_api(config, self._turns, caller, self._stop, budget)
        worker = Worker(api, self._settings.database_url)
        self._belongings.enter_context(closing(host))
        self._belongings.enter_context(closing(worker))
        employ(worker)

    def _stay(self) -> None:
        """Until the run ends, or its program does; then leaves nothing behind."""
        with suppress(EOFError, OSError):
            while not self._turns.wait_end(10):
                pass
        self._stop.set()
        self._threads.shutdown()  # waits for what is in flight
        self._belongings.close()
        with _visiting:
            _visits.pop(self._settings.gate, None)


_visits: dict[GateAddress, Visit] = {}
_visiting = threading.Lock()


def _visit_of(settings: WorkerSettings) -> Visit:
    with _visiting:
        if settings.gate not in _visits:
            _visits[settings.gate] = Visit(settings)
        return _visits[settings.gate]


def _connect(gate: GateAddress) -> ClusterTurns:
    try:
        return cast(ClusterTurns, gate.connect())
    except (EOFError, OSError) as exc:
        text = f"{socket.gethostname()} cannot reach the run's gate at {gate.address}: {exc}"
        raise BatchError(text) from exc


@contextmanager
def _kept_records() -> Iterator[list[logging.LogRecord]]:
    """What this thread logs meanwhile, in a form that can be sent."""
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
