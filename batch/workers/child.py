"""The code of a worker process: one call after another, until it is stopped."""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from batch.errors import BatchError
from batch.process import become_child
from batch.stop import PipeStop, Stop
from sql import SqlError

log = logging.getLogger(__name__)

# The stop of the worker that this process is; None in the parent.
current_stop: PipeStop | None = None


def serve(connection: Connection, inherited: list[Connection], parent: int) -> None:
    """Make one call after another until it is stopped, or until the parent dies.

    Args:
        connection: where calls come from and outcomes go.
        inherited: the parent's connections to other workers, which the fork copied.
        parent: its process id.
    """
    global current_stop
    become_child(parent)
    gc.freeze()  # what is shared with the parent stays so: a collection would write to all of it
    for other in inherited:
        other.close()
    logging.getLogger().handlers[:] = [_Forward(connection)]
    current_stop = PipeStop(connection)
    while (call := _next(connection)) is not None:
        connection.send(outcome_of(call, current_stop))


@dataclass(frozen=True, slots=True)
class TaskOutcome:
    """The result of a task, or the error that it ended with; can be sent to whoever asked."""

    result: object
    error: BaseException | None = None

    def settle(self, future: Future[Any]) -> None:
        if self.error is None:
            future.set_result(self.result)
        else:
            future.set_exception(self.error)


def outcome_of(call: Callable[[], object], stop: Stop) -> TaskOutcome:
    """Do a task, unless the run has been stopped meanwhile."""
    try:
        stop.check()
        return TaskOutcome(call())
    except (BatchError, SqlError) as exc:
        return TaskOutcome(None, exc)
    except Exception as exc:
        log.exception("Unexpected error in a task")
        return TaskOutcome(None, BatchError(f"{type(exc).__name__}: {exc}"))


def _next(connection: Connection) -> Callable[[], object] | None:
    try:
        call: Callable[[], object] | None = connection.recv()
    except (EOFError, OSError):
        return None
    return call


class _Forward(logging.Handler):
    """Sends a worker's log records to its parent, so that lines and progress bar do not mix."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        _make_sendable(record)
        try:
            self._connection.send(record)
        except OSError:
            os._exit(1)  # the parent is gone


def _make_sendable(record: logging.LogRecord) -> None:
    record.msg, record.args = record.getMessage(), None
    if record.exc_info:
        record.msg += "\n" + logging.Formatter().formatException(record.exc_info)
        record.exc_info = None


@contextmanager
def kept_records() -> Iterator[list[logging.LogRecord]]:
    """Keep what this thread logs meanwhile, in a form that can be sent."""
    handler = _Keep()
    logger = logging.getLogger("batch")
    logger.addHandler(handler)
    try:
        yield handler.records
    finally:
        logger.removeHandler(handler)


class _Keep(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            _make_sendable(record)
            self.records.append(record)
