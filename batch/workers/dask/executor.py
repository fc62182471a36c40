"""Workers on a Dask cluster, in the shape of the local pool.

Dask does the task of a worker that died again by itself. It is an extra, and imported only where
`MANGA_SYNC_EXECUTOR` asks for it.
"""

from __future__ import annotations

import functools
import logging
import math
import pkgutil
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

import dask
from distributed import Client

import sql
from batch.config import Config
from batch.errors import BatchError, ClusterDown
from batch.stop import SignalStop
from batch.workers.dask.remote import JobResult, SemaphoreAddress, perform, stop_run
from batch.workers.pool import Pool
from batch.workers.worker import WorkerSettings
from mangahub import __version__
from mangahub.env import SettingError

CONNECT_S = 5.0
NO_WORKERS_AT_START_S = 4.0
WATCHES = 1  # connections of a worker beside those of its threads: it watches the run's
NO_WORKERS_S = 30.0  # during a run: a nanny starts another within seconds
POLL_S = 0.2  # between two looks at the workers, and at the signal that ends the run

log = logging.getLogger(__name__)

T = TypeVar("T")


class ClusterPool(Pool):
    """The threads of a cluster's workers.

    Args:
        config: its `executor` is `dask://host:port`.
        database_url: as the cluster's hosts reach it.
        session: with the database; lives as long as the run.
        tasks: how many there will be: more threads are of no use.
        stop: readable once the run has to end; `wait` returns early then.

    Raises:
        ClusterDown: the scheduler is away, or has no workers.
        SettingError: the cluster cannot reach the database.
        BatchError: a worker has another version of this program, or none.
        NoFreeConnection: there are too few for the smallest worker.
    """

    def __init__(
        self,
        config: Config,
        database_url: str,
        session: sql.Connection,
        tasks: int,
        stop: SignalStop,
    ) -> None:
        super().__init__(stop)
        gate = SemaphoreAddress(f"mangahub-{secrets.token_hex(8)}", config.rate_concurrency)
        self.settings = WorkerSettings(config, database_url, gate)
        self._name = config.executor
        # Not `info.backend_pid`, which a pooler answers with a value of its own.
        self._session_pid = session.execute("SELECT pg_backend_pid()").fetchall()[0][0]
        self._running: dict[Future[Any], Future[JobResult]] = {}
        self._threads: dict[str, int] = {}
        self._no_workers_after_s = time.monotonic() + NO_WORKERS_AT_START_S
        self._client = _connect(self._name, database_url)
        try:
            while not self._threads:
                self._stop.wait(POLL_S)
                self._look()
            workers = self._choose_workers(sql.count_free_connections(session))
        except BaseException:
            self.shutdown()
            raise
        where = {"workers": list(workers), "allow_other_workers": True}  # once those are gone
        if workers == self._threads:
            where = {}
        self._executor = self._client.get_executor(pure=False, **where)  # else equal calls are one
        self.size = max(min(sum(workers.values()), tasks), 1)
        log.info("Workers run on a cluster executor=%s threads=%d", self._name, self.size)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Have a worker make the call; function and arguments are pickled."""
        self._look()
        call = functools.partial(fn, *args, **kwargs)
        future: Future[T] = Future()
        inner = self._executor.submit(perform, self.settings, self._session_pid, call)
        self._running[future] = inner
        inner.add_done_callback(lambda done: self._settle(done, future))
        return future

    def wait(self, futures: Iterable[Future[T]], timeout_s: float | None = None) -> set[Future[T]]:
        watched = list(futures)
        deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while not (done := wait(watched, POLL_S, FIRST_COMPLETED).done):
            if self._stop.signal_number is not None or time.monotonic() >= deadline_s:
                break
            self._look()
        return done

    def drain(self, timeout_s: float) -> None:
        """End the run for all workers: what has not begun ends at once, by `Stopped`."""
        with suppress(OSError):
            self._client.run(stop_run, self.settings.gate, on_error="ignore")
        wait(self._running, timeout_s)
        for future, inner in self._running.items():
            inner.cancel()
            future.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the cluster, which stays."""
        with suppress(OSError):
            self._client.close(timeout=1)

    def _settle(self, inner: Future[JobResult], future: Future[Any]) -> None:
        """Pass on a job's result; called in Dask's thread."""
        if future.cancelled():
            return
        try:
            done = inner.result()
        except CancelledError:
            future.set_exception(ClusterDown(f"the scheduler {self._name} is gone"))
        except Exception as exc:
            reason = f"{type(exc).__name__}: {exc}"
            future.set_exception(BatchError(f"a task could not be run on the cluster: {reason}"))
        else:
            self.requests += done.requests
            self.rate_limited += done.rate_limited
            for record in done.records:
                logging.getLogger(record.name).handle(record)
            done.outcome.settle(future)

    def _look(self) -> None:
        """Record which workers came and went; raise if the cluster cannot continue."""
        if self._client.status == "closed":  # as it is when it could not connect again for a while
            raise ClusterDown(f"the scheduler {self._name} is gone")
        with _cluster_errors(self._name):
            threads = dict(self._client.nthreads(callback_timeout=CONNECT_S))
            if threads.keys() - self._threads.keys():
                self._check_versions()
        for name in self._threads.keys() - threads.keys():
            log.warning("A worker was lost; its task is run again name=%s", name)
        self._threads = threads
        if threads:
            self._no_workers_after_s = time.monotonic() + NO_WORKERS_S
        elif time.monotonic() > self._no_workers_after_s:
            raise ClusterDown(f"the cluster {self._name} has no workers")

    def _choose_workers(self, connections: int) -> dict[str, int]:
        """Return the workers, with their threads, for which the database has connections."""
        left = connections - 1  # for the relay
        chosen: dict[str, int] = {}
        for name, threads in sorted(self._threads.items(), key=lambda worker: worker[1]):
            if left >= threads + WATCHES:
                chosen[name] = threads
                left -= threads + WATCHES
        if not chosen:
            least = min(self._threads.values()) + WATCHES + 1
            text = f"the database has {connections} free connections, a worker wants {least}"
            raise sql.NoFreeConnection(text)
        if len(chosen) < len(self._threads):
            count = len(chosen)
            log.warning("The database has no connection for more workers workers=%d", count)
        return chosen

    def _check_versions(self) -> None:
        # A function that each Python has: one of ours would not arrive where we are missing.
        found = self._client.run(pkgutil.resolve_name, "mangahub:__version__", on_error="return")
        for name, version in found.items():
            if version != __version__:
                has = version if isinstance(version, str) else f"none ({version})"
                raise BatchError(f"worker {name} needs mangahub-sync {__version__}, it has {has}")


def _connect(executor: str, database_url: str) -> Client:
    """Return a client of the scheduler; by TLS where Dask's own configuration asks for that."""
    logging.captureWarnings(True)  # of other versions of libraries on the workers
    for name in ("distributed", "distributed.client", "tornado.application"):
        # They log a traceback where they raise, too; what they raise becomes our one line.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    address = urlsplit(executor)
    scheme = "tls" if dask.config.get("distributed.comm.require-encryption", False) else "tcp"
    with _cluster_errors(executor):
        with socket.create_connection((address.hostname, address.port), CONNECT_S) as probe:
            is_here = probe.getsockname()[0] == probe.getpeername()[0]
        if not is_here and sql.is_local(database_url):
            allowed = "a database that the cluster's hosts can reach, not one of this host only"
            raise SettingError("DATABASE_URL", sql.masked(database_url), allowed)
        return Client(f"{scheme}://{address.netloc}", timeout=CONNECT_S, set_as_default=False)


@contextmanager
def _cluster_errors(name: str) -> Iterator[None]:
    """Translate Dask's errors; those of its connections are OSErrors."""
    try:
        yield
    except OSError as exc:
        raise ClusterDown(f"the scheduler {name} cannot be reached: {sql.one_line(exc)}") from exc
