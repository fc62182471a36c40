"""Workers on a Dask cluster, in the shape of the local pool.

    LocalPool    → pipes → processes of this host
    ClusterPool  → Dask's `concurrent.futures` executor → scheduler → workers of any host
                   the gate is served by this program, at the address where it meets the cluster

Dask does the task of a worker that died again by itself. Dask is imported only where it is used:
it is an extra, and takes as long to import as all the rest.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import pkgutil
import select
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

import sql
from batch.config import Config
from batch.errors import BatchError, ClusterDown
from batch.limits.gate import GateServer, Turns
from batch.stop import SignalStop
from batch.workers.dask.gate import ClusterGate, ClusterTurns
from batch.workers.dask.remote import Job, Outcome, perform
from batch.workers.pool import Pool, WorkerDied
from batch.workers.worker import WorkerSettings
from mangahub import __version__
from mangahub.env import SettingError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 5.0
NO_WORKERS_AT_START_S = 4.0
NO_WORKERS_S = 30.0  # during a run: a nanny starts another within seconds
LOOK_S = 2.0  # between two looks at who is there

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


def serve_gate(config: Config, database_url: str) -> GateServer:
    """Starts the Manager with the cluster's gate; before Dask, as threads forbid forking.

    Raises:
        ClusterDown: the scheduler cannot be reached.
        SettingError: the cluster could not reach the database.
    """
    scheduler = _find(config.executor)
    here = _address_towards(scheduler)
    is_elsewhere = scheduler[0] != here and not ipaddress.ip_address(scheduler[0]).is_loopback
    if is_elsewhere and is_local(database_url):
        allowed = "a database that the cluster's hosts can reach; this one is for this host alone"
        raise SettingError("DATABASE_URL", sql.masked(database_url), allowed)
    gate = ClusterGate(config.rate_concurrency, config.rate_per_second, config.rate_burst)
    return GateServer(gate, (here, 0))


def _find(executor: str) -> tuple[str, int]:
    parts = urlsplit(executor)
    assert parts.hostname and parts.port
    with _cluster_errors(executor):
        # IPv4, as the Manager can serve nothing else.
        address = socket.gethostbyname(parts.hostname), parts.port
        socket.create_connection(address, CONNECT_S).close()
    return address


def _address_towards(remote: tuple[str, int]) -> str:
    """Of this host, as the network around `remote` sees it; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(remote)
        return str(probe.getsockname()[0])


def is_local(database_url: str) -> bool:
    """Whether the URL means something else, or nothing, on another host."""
    parts = conninfo_to_dict(database_url)
    hosts = str(parts.get("hostaddr") or parts.get("host") or os.environ.get("PGHOST", ""))
    return all(
        host in ("", "localhost", "::1") or host.startswith(("/", "@", "127."))
        for host in hosts.split(",")
    )


class ClusterPool(Pool):
    """The threads of a cluster's workers.

    Args:
        executor: `dask://host:port`.
        tasks: how many there will be: more threads are of no use.
        stop: readable once the run has to end; `wait` returns early then.
        turns: the run's gate, which tells all workers when the run ends.

    Raises:
        ClusterDown: the scheduler is away, or has no workers.
        BatchError: a worker has another version of this program, or none.
    """

    def __init__(self, executor: str, tasks: int, stop: SignalStop, turns: Turns) -> None:
        super().__init__(stop)
        self._name = executor
        self._gate = cast(ClusterTurns, turns)
        self._running: dict[Future[Outcome], Future[Any]] = {}
        self._next_look_s = 0.0
        self._known: dict[str, int] = {}
        self._client = _connect(executor)
        self._bell, self._ringer = socket.socketpair()
        self._ringer.setblocking(False)
        try:
            self._wait_for_workers()
            self._check_versions()
        except BaseException:
            self.shutdown()
            raise
        self._executor = self._client.get_executor(pure=False)  # else equal calls are done once
        self.size = max(min(sum(self._known.values()), tasks), 1)
        log.info("Workers are on a cluster executor=%s threads=%d", executor, self.size)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Has `fn(settings, …)` called by a worker; function and arguments are pickled."""
        settings, *others = args
        assert isinstance(settings, WorkerSettings) and not kwargs
        self._require_scheduler()
        future: Future[T] = Future()
        inner = self._executor.submit(perform, Job(fn, settings, tuple(others)))
        self._running[inner] = future
        inner.add_done_callback(self._ring)
        return future

    def drain(self, timeout_s: float) -> None:
        """Ends the run for all workers: what has not begun ends at once, by `Stopped`."""
        with suppress(EOFError, ConnectionError):
            self._gate.end()
        deadline_s = time.monotonic() + timeout_s
        while self._running and (left_s := deadline_s - time.monotonic()) > 0:
            self._pump(left_s, listen=False)
        for inner, future in self._running.items():
            inner.cancel()
            future.cancel()
        self._running.clear()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leaves the cluster, which stays."""
        with suppress(OSError):
            self._client.close(timeout=1)
        logging.captureWarnings(False)
        self._ringer.close()
        self._bell.close()

    def _pump(self, timeout_s: float | None, listen: bool = True) -> None:
        span_s = LOOK_S if timeout_s is None else min(LOOK_S, max(timeout_s, 0))
        bell, ears = self._bell.fileno(), [self._stop.fileno()] if listen else []
        ready, _, _ = select.select([bell, *ears], [], [], span_s)
        if bell in ready:
            self._bell.recv(4096)
        for inner in [inner for inner in self._running if inner.done()]:
            self._settle(inner, self._running.pop(inner))
        if listen and time.monotonic() >= self._next_look_s:
            self._look()

    def _ring(self, _: Future[Outcome]) -> None:
        """In Dask's thread: wakes `_pump`. A bell that is full, or closed, has rung enough."""
        with suppress(OSError):
            self._ringer.send(b"!")

    def _settle(self, inner: Future[Outcome], future: Future[Any]) -> None:
        if inner.cancelled():
            future.set_exception(self._gone())
        elif (exc := inner.exception()) is not None:
            future.set_exception(_translated(exc))
        else:
            self._pass_on(inner.result(), future)

    def _pass_on(self, outcome: Outcome, future: Future[Any]) -> None:
        for record in outcome.records:
            logging.getLogger(record.name).handle(record)
        if outcome.error is None:
            future.set_result(outcome.result)
        else:
            future.set_exception(outcome.error)

    def _look(self) -> None:
        """Notes who has come and gone; a cluster that stays without workers ends the run."""
        self._require_scheduler()
        with _cluster_errors(self._name):
            threads = self._client.nthreads(callback_timeout=CONNECT_S)
        now_s = time.monotonic()
        self._next_look_s = now_s + LOOK_S
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
            raise self._gone()

    def _gone(self) -> ClusterDown:
        return ClusterDown(f"the scheduler {self._name} has gone")

    def _wait_for_workers(self) -> None:
        self._seen_s = began_s = time.monotonic()
        self._look()
        while not self._known:
            if time.monotonic() > began_s + NO_WORKERS_AT_START_S:
                raise ClusterDown(f"the cluster {self._name} has no workers")
            self._stop.wait(0.2)
            self._look()

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


def _connect(executor: str) -> Client:
    """A client of the scheduler; by TLS where Dask's own configuration asks for that."""
    import dask
    from distributed import Client

    logging.captureWarnings(True)  # of other versions of libraries on the workers
    for name in ("distributed", "distributed.client", "tornado.application"):
        # They log a traceback where they raise, too; what they raise becomes our one line.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    parts = urlsplit(executor)
    scheme = "tls" if dask.config.get("distributed.comm.require-encryption", False) else "tcp"
    address = f"{scheme}://{parts.netloc}"
    with _cluster_errors(executor):
        return Client(address, timeout=CONNECT_S, set_as_default=False)


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
