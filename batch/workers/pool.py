"""Worker processes in the shape of `concurrent.futures.Executor`.

The standard pool fails every pending future when one worker dies. This one knows what each worker
is doing: it names the dead one, starts another, and gives it the same task again.

It has no thread: whoever waits for results (`submit` when the queue is full, `wait`) moves the work
along, so that workers are forked from a process with a single thread.
"""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import signal
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, ParamSpec, TypeVar

from batch.errors import BatchError
from batch.process import start_child
from batch.stop import SignalStop
from batch.workers import child
from batch.workers.worker import WorkerSettings
from sql import NoFreeConnection

MAX_DEATHS = 3  # of workers over one task: then it is the task
# Between two workers' starts: ten at once would take the cores from the first one's first request,
# and five calls a second cannot use another any sooner.
START_EVERY_S = 0.05
END_S = 2.0  # for idle workers to leave, all together

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


class WorkerDied(BatchError):
    """A task killed each worker that tried it."""


@dataclass(slots=True)
class _Task:
    future: Future[Any]
    call: Callable[[], object]
    deaths: int = 0


@dataclass(slots=True)
class _Worker:
    name: str
    process: BaseProcess
    connection: Connection
    task: _Task | None = None


class Pool(Executor):
    """What a job needs of its workers, wherever they are.

    Attributes:
        size: how many tasks are done at once.
        settings: what each task brings along.
        requests: how many left so far, where the pool itself counts them.
        rate_limited: how many of them were answered with 429.
    """

    size: int
    settings: WorkerSettings

    def __init__(self, stop: SignalStop) -> None:
        self._stop = stop
        self.requests = 0
        self.rate_limited = 0

    @abstractmethod
    def wait(self, futures: Iterable[Future[T]], timeout_s: float | None = None) -> set[Future[T]]:
        """Wait until one of the futures is done, a signal comes, or time is up."""

    @abstractmethod
    def drain(self, timeout_s: float) -> None:
        """Tell every worker to stop waiting, drop what is queued, let what is in flight end."""


class LocalPool(Pool):
    """Up to a number of processes behind a queue of at most twice as many tasks.

    Args:
        workers: how many processes; each is started when there is work for it.
        stop: readable once the run has to end; `submit` and `wait` return early then.
        on_death: called with the name of a worker that died by itself.
    """

    def __init__(
        self, workers: int, stop: SignalStop, on_death: Callable[[str], None] = lambda name: None
    ) -> None:
        super().__init__(stop)
        self._on_death = on_death
        self._queue: deque[_Task] = deque()
        self._started = 0
        self._next_start_s = 0.0
        self._is_stopping = False
        self._has_too_many = False  # workers for the connections that there are
        self.size = workers
        self._workers: list[_Worker] = []
        stop.at_once = self.kill

    @property
    def pids(self) -> list[int]:
        """The worker processes that are alive."""
        return [w.process.pid for w in self._workers if w.process.pid and w.process.is_alive()]

    def wait(self, futures: Iterable[Future[T]], timeout_s: float | None = None) -> set[Future[T]]:
        """Wait as Pool.wait does, and move the work along."""
        watched = list(futures)
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not (done := {f for f in watched if f.done()}):
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if (left_s is not None and left_s <= 0) or self._stop.signal_number is not None:
                break
            self._pump(left_s)
        return done

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Queue a call; wait while the queue is full. Function and arguments are pickled."""
        while len(self._queue) >= 2 * self.size and self._stop.signal_number is None:
            self._pump(None)
        future: Future[T] = Future()
        self._queue.append(_Task(future, functools.partial(fn, *args, **kwargs)))
        self._dispatch()
        return future

    def drain(self, timeout_s: float) -> None:
        for task in self._queue:
            task.future.cancel()
        self._queue.clear()
        self._is_stopping = True
        for worker in self._workers:
            if worker.task is not None:
                _tell_to_end(worker.connection)
        deadline_s = time.monotonic() + timeout_s
        while any(w.task for w in self._workers) and time.monotonic() < deadline_s:
            self._pump(deadline_s - time.monotonic(), listen=False)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the workers; those that are busy are killed after what `drain` allowed."""
        for worker in self._workers:
            if worker.task is None:
                _tell_to_end(worker.connection)
            else:
                worker.process.kill()
        deadline_s = time.monotonic() + END_S
        while self._workers:
            process = self._workers[-1].process
            process.join(max(deadline_s - time.monotonic(), 0.01))
            if process.is_alive():
                process.kill()
                process.join()
            _close(self._workers.pop())
        self._stop.at_once = lambda: None

    def kill(self) -> None:
        """Kill every worker."""
        for pid in self.pids:
            os.kill(pid, signal.SIGKILL)

    def _start(self) -> _Worker:
        self._started += 1
        name = f"worker-{self._started}"
        ours, theirs = multiprocessing.Pipe()
        inherited = [*(worker.connection for worker in self._workers), ours]
        process = start_child(child.serve, theirs, inherited, os.getpid(), name=name)
        theirs.close()
        return _Worker(name, process, ours)

    def _dispatch(self) -> None:
        """Give queued tasks to workers; start one where it is wanted and time for another."""
        while self._queue and not self._is_stopping and (worker := self._idle_worker()):
            worker.task = self._queue.popleft()
            # A worker may have just died: its sentinel says so, and its task is done again then.
            with suppress(OSError):
                worker.connection.send(worker.task.call)

    def _idle_worker(self) -> _Worker | None:
        for worker in self._workers:
            if worker.task is None:
                return worker
        if len(self._workers) == self.size or time.monotonic() < self._next_start_s:
            return None
        self._next_start_s = time.monotonic() + START_EVERY_S
        self._workers.append(self._start())
        return self._workers[-1]

    def _pump(self, timeout_s: float | None, listen: bool = True) -> None:
        """Wait for the next messages from the workers, and deal with them."""
        sources: dict[object, _Worker] = {}
        for worker in self._workers:
            sources |= {worker.connection: worker, worker.process.sentinel: worker}
        stop = [self._stop] if listen else []
        ready = wait([*sources, *stop], self._patience(timeout_s))  # type: ignore[list-item]
        for worker in {id(sources[r]): sources[r] for r in ready if r in sources}.values():
            self._receive_all(worker)
        self._dispatch()

    def _patience(self, timeout_s: float | None) -> float | None:
        """Return how long to wait: until another worker may be started, where one is wanted."""
        if not self._queue or len(self._workers) == self.size:
            return timeout_s
        left_s = max(self._next_start_s - time.monotonic(), 0)
        return left_s if timeout_s is None else min(timeout_s, left_s)

    def _receive_all(self, worker: _Worker) -> None:
        try:
            while worker in self._workers and worker.connection.poll():
                self._receive(worker, worker.connection.recv())
        except (EOFError, OSError):
            worker.process.join()
        if worker in self._workers and not worker.process.is_alive():
            self._replace(worker)

    def _receive(self, worker: _Worker, message: object) -> None:
        if isinstance(message, logging.LogRecord):
            logging.getLogger(message.name).handle(message)
            return
        task, worker.task = worker.task, None
        assert task is not None and isinstance(message, child.TaskOutcome)
        if isinstance(message.error, NoFreeConnection) and len(self._workers) > 1:
            self._do_without(worker, task)
        else:
            message.settle(task.future)

    def _do_without(self, worker: _Worker, task: _Task) -> None:
        """End a worker that gets no connection to the database; the others do its task."""
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        _close(worker)
        self._on_death(worker.name)
        self._queue.appendleft(task)
        self.size = len(self._workers)
        level = logging.DEBUG if self._has_too_many else logging.WARNING
        self._has_too_many = True
        log.log(level, "The database has no connection for more workers workers=%d", self.size)

    def _replace(self, worker: _Worker) -> None:
        """Let a worker go that died by itself, and have its task done again."""
        code = worker.process.exitcode
        self._workers.remove(worker)
        _close(worker)
        if self._is_stopping and worker.task is None:
            return
        log.warning("A worker died name=%s exit_code=%s", worker.name, code)
        self._on_death(worker.name)
        if worker.task is not None:
            self._requeue(worker.task, worker.name)

    def _requeue(self, task: _Task, name: str) -> None:
        task.deaths += 1
        if task.deaths < MAX_DEATHS and not self._is_stopping:
            self._queue.appendleft(task)
        else:
            task.future.set_exception(WorkerDied(f"{name} died, as {task.deaths - 1} before it"))


def _tell_to_end(connection: Connection) -> None:
    try:
        connection.send(None)
    except OSError:
        log.debug("A worker ended early")


def _close(worker: _Worker) -> None:
    """Free what the parent holds of a worker that is in no list any more: `kill` uses the lists."""
    worker.connection.close()
    worker.process.close()
