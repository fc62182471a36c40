"""What all commands share: their declaration, their context and their report."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psycopg
from psycopg.pq import TransactionStatus

import sql
from batch.config import Config
from batch.errors import BatchError
from batch.stop import LAST_S, SignalStop
from mangahub.env import Env


@dataclass(frozen=True, slots=True)
class Context:
    """What a command gets."""

    arguments: argparse.Namespace
    env: Env
    config: Config
    stop: SignalStop


@dataclass(frozen=True, slots=True)
class Report:
    """How a command ended.

    Attributes:
        data: for `--json`.
        lines: for people; may be none.
        code: the exit code.
    """

    data: dict[str, object]
    lines: Sequence[str] = ()
    code: int = 0


@dataclass(frozen=True, slots=True)
class Command:
    """A command of the command line.

    Attributes:
        summary: one line of help.
        add_arguments: declares its options.
        nothing_done: what `--json` prints, beside the error, if it failed before it began.
    """

    name: str
    summary: str
    run: Callable[[Context], Report]
    add_arguments: Callable[[argparse.ArgumentParser], None] = lambda parser: None
    nothing_done: Mapping[str, object] = field(default_factory=lambda: {"status": "error"})


class Failed(BatchError):
    """A command failed after it began.

    Attributes:
        cause: the error that ended it.
        done: what it had done until then, as in the JSON of a success.
    """

    def __init__(self, cause: Exception, done: Mapping[str, object]) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.done = done


def whole_number(low: int, high: int, hint: str = "") -> Callable[[str], int]:
    """Return an argument's type: a whole number within bounds; the hint ends the error."""

    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(
            f"{text!r} is not allowed: it must be a whole number from {low} to {high:,}{hint}"
        )

    return parse


@contextmanager
def open_database(url: str) -> Iterator[sql.Connection]:
    """Connect to a database with the current schema, for the block.

    Raises:
        SqlError: also for what psycopg raises in the block.
    """
    with sql.translated():
        connection = sql.connect(url, "mangahub-batch")
        try:
            sql.require_current(connection)
            yield connection
        finally:
            _close(connection)


def _close(connection: sql.Connection) -> None:
    """Close; cancel a query that a signal interrupted, or the server would continue it."""
    if connection.info.transaction_status == TransactionStatus.ACTIVE:
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=LAST_S)
    connection.close()
