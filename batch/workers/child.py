"""What runs in a worker process: one call after the other, until it is told to end."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable
from multiprocessing.connection import Connection

from batch.errors import BatchError
from batch.process import become_child
from batch.stop import PipeStop
from sql import SqlError

log = logging.getLogger(__name__)

# The stop of the worker that this process is; None in the parent.
current_stop: PipeStop | None = None


def serve(connection: Connection, inherited: list[Connection], parent: int) -> None:
    """Do one call after the other until told to end, or until the parent dies.

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
        connection.send(outcome_of(call))


def outcome_of(call: Callable[[], object]) -> tuple[object, BaseException | None]:
    """Return (result, None), or (None, an error that can be sent to whoever asked)."""
    try:
        return call(), None
    except (BatchError, SqlError) as exc:
        return None, exc
    except Exception as exc:
        log.exception("Unexpected error in a task")
        return None, BatchError(f"{type(exc).__name__}: {exc}")


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
        record.msg, record.args = record.getMessage(), None
        if record.exc_info:
            record.msg += "\n" + logging.Formatter().formatException(record.exc_info)
            record.exc_info = None
        try:
            self._connection.send(record)
        except OSError:
            os._exit(1)  # nobody is left to work for
