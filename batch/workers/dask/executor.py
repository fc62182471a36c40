"""Workers on a Dask cluster, in the shape of the local pool.

Dask does the task of a worker that died again by itself. It is an extra, and imported only where
`MANGA_SYNC_EXECUTOR` asks for it.
"""

from __future__ import annotations

import ipaddress
import logging
import math
import pkgutil
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager, suppress
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import dask
from distributed import Client

import sql
from batch.config import Config
from batch.errors import BatchError, ClusterDown
from batch.stop import SignalStop
from batch.workers.dask.remote import Job, JobResult, perform, stop_run
from batch.workers.dask.semaphore import SemaphoreAddress
from batch.workers.pool import Pool, WorkerDied
from batch.workers.worker import WorkerSettings
from mangahub import __version__
from mangahub.env import SettingError

CONNECT_S = 5.0
NO_WORKERS_AT_START_S = 4.0
NO_WORKERS_S = 30.0  # during a run: a nanny starts another within seconds
LOOK_S = 2.0  # between two looks at which workers there are
POLL_S = 0.2  # between two looks at the signal that ends the run

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class ClusterPool(Pool):
    """The threads of a cluster's workers.

    Args:
        config: its `executor` is `dask://host:port`.
        database_url: as the cluster's hosts reach it.
        session_pid: of the database session that lives as long as the run.
        tasks: how many there will be: more threads are of no use.
        stop: readable once the run has to end; `wait` returns early then.

    Raises:
        ClusterDown: the scheduler is away, or has no workers.
        SettingError: the cluster cannot reach the database.
        BatchError: a worker has another version of this program, or none.
    """

    def __init__(
        self, config: Config, database_url: str, session_pid: int, tasks: int, stop: SignalStop
    ) -> None:
        super().__init__(stop)
        require_reachable(config.executor, database_url)
        self._name = config.executor
        self._session_pid = session_pid
        gate = SemaphoreAddress(f"mangahub-{secrets.token_hex(8)}", config.rate_concurrency)
        self.settings = WorkerSettings(config, database_url, gate)
        self._running: dict[Future[Any], Future[JobResult]] = {}
        self._next_look_s = self._seen_s = time.monotonic()
        self._known: dict[str, int] = {}
        self._client = _connect(self._name)
        try:
            self._wait_for_workers()
            self._check_versions()
        except BaseException:
            self.shutdown()
            raise
        self._executor = self._client.get_executor(pure=False)  # else equal calls are done once
        self.size = max(min(sum(self._known.values()), tasks), 1)
        log.info("Workers are on a cluster executor=%s threads=%d", self._name, self.size)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have `fn(settings, …)` called by a worker; function and arguments are pickled."""
        settings, *others = args
        assert isinstance(settings, WorkerSettings) and not kwargs
        self._require_scheduler()
        future: Future[T] = Future()
        job = Job(self._session_pid, fn, settings, tuple(others))
        self._running[future] = self._executor.submit(perform, job)
        self._running[future].add_done_callback(lambda inner: self._settle(inner, future))
        return future

    def wait(self, futures: Iterable[Future[T]], timeout_s: float | None = None) -> set[Future[T]]:
        watched = list(futures)
        deadline_s = math.inf if timeout_s is None else time.monotonic() + timeout_s
        while True:
            span_s = max(min(POLL_S, deadline_s - time.monotonic()), 0)
            done = wait(watched, span_s, FIRST_COMPLETED).done
            if done or self._stop.signal_number is not None or time.monotonic() >= deadline_s:
                return done
            self._look()

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
        logging.captureWarnings(False)

    def _settle(self, inner: Future[JobResult], future: Future[Any]) -> None:
        """Hand on what became of a job; called in Dask's thread."""
        if future.cancelled():
            return
        if inner.cancelled():
            future.set_exception(ClusterDown(f"the scheduler {self._name} has gone"))
        elif (exc := inner.exception()) is not None:
            future.set_exception(_translated(exc))
        else:
            self._pass_on(inner.result(), future)

    def _pass_on(self, done: JobResult, future: Future[Any]) -> None:
        self.requests += done.requests
        self.rate_limited += done.rate_limited
        for record in done.records:
            logging.getLogger(record.name).handle(record)
        if done.error is None:
            future.set_result(done.result)
        else:
            future.set_exception(done.error)

    def _look(self) -> None:
        """Note who has come and gone; a cluster that stays without workers ends the run."""
        if (now_s := time.monotonic()) < self._next_look_s:
            return
        self._next_look_s = now_s + LOOK_S
        self._require_scheduler()
        with _cluster_errors(self._name):
            threads = self._client.nthreads(callback_timeout=CONNECT_S)
        for name in self._known.keys() - threads.keys():
            log.warning("A worker has gone; its task is done again name=%s", name)
        self._known = dict(threads)
        if threads:
            self._seen_s = now_s
        elif now_s > self._seen_s + NO_WORKERS_S:
            raise ClusterDown(f"the cluster {self._name} has no workers any more")

    def _require_scheduler(self) -> None:
        """Dask's client closes itself when it has tried to connect again for a while."""
        if self._client.status == "closed":
            raise ClusterDown(f"the scheduler {self._name} has gone")

    def _wait_for_workers(self) -> None:
        deadline_s = time.monotonic() + NO_WORKERS_AT_START_S
        while not self._known:
            if time.monotonic() > deadline_s:
                raise ClusterDown(f"the cluster {self._name} has no workers")
            self._next_look_s = 0.0
            self._look()
            self._stop.wait(0.0 if self._known else POLL_S)

    def _check_versions(self) -> None:
        with _cluster_errors(self._name):
            # A function that each Python has: one of ours would not arrive where we are missing.
            found = self._client.run(
                pkgutil.resolve_name, "mangahub:__version__", on_error="return"
            )
        for name, version in found.items():
            if version != __version__:
                raise BatchError(
                    f"the worker {name} needs mangahub-sync {__version__}, it has"
                    f" {version if isinstance(version, str) else f'none ({version})'}"
                )


def require_reachable(executor: str, database_url: str) -> None:
    """Refuse a database that the cluster's hosts cannot reach.

    Raises:
        SettingError: it is for this host alone, and the scheduler is on another one.
    """
    host = urlsplit(executor).hostname or ""
    with _cluster_errors(executor):
        address = ipaddress.ip_address(socket.gethostbyname(host))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((str(address), 9))  # nothing is sent: this asks for our own address
        is_here = address.is_loopback or probe.getsockname()[0] == str(address)
    if not is_here and sql.is_local(database_url):
        allowed = "a database that the cluster's hosts can reach; this one is for this host alone"
        raise SettingError("DATABASE_URL", sql.masked(database_url), allowed)


def _connect(executor: str) -> Client:
    """Return a client of the scheduler; by TLS where Dask's own configuration asks for that."""
    logging.captureWarnings(True)  # of other versions of libraries on the workers
    for name in ("distributed", "distributed.client", "tornado.application"):
        # They log a traceback where they raise, too; what they raise becomes our one line.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    parts = urlsplit(executor)
    scheme = "tls" if dask.config.get("distributed.comm.require-encryption", False) else "tcp"
    with _cluster_errors(executor):
        socket.create_connection((parts.hostname, parts.port), CONNECT_S).close()
        return Client(f"{scheme}://{parts.netloc}", timeout=CONNECT_S, set_as_default=False)


def _translated(exc: BaseException) -> BatchError:
    if type(exc).__name__ == "KilledWorker":
        return WorkerDied(str(exc))
    return BatchError(f"a task could not be run on the cluster: {type(exc).__name__}: {exc}")


@contextmanager
def _cluster_errors(executor: str) -> Iterator[None]:
    """Dask's own errors of connections are OSErrors too."""
    try:
        yield
    except OSError as exc:
        reason = str(exc) or type(exc).__name__
        raise ClusterDown(f"the scheduler {executor} cannot be reached: {reason}") from exc
