"""What is remembered of workflows that fail, so that an operator is alerted once.

It is in `sync_state.metadata`, or in `alerts.json` in the data directory while the database is
down, which may be the reason of the failure.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import psycopg

from batch.models import JsonObject
from batch.store import sync_state
from sql import Connection
from sql.state.workflows import read_cursor

_KEY = "trouble"


@dataclass(frozen=True, slots=True)
class Failure:
    """What is remembered of a workflow that fails.

    Attributes:
        since: when it first failed after the last good run; None if it works.
        told_at: when the operator was alerted.
    """

    since: datetime | None = None
    told_at: datetime | None = None


class Memory:
    """What is remembered of one workflow.

    Args:
        connection: None while the database cannot be had.
        folder: where the file lies that stands in for it.
    """

    def __init__(self, connection: Connection | None, folder: Path, sync_type: str) -> None:
        self._connection = connection
        self._file = folder / "alerts.json"
        self._sync_type = sync_type

    def read(self) -> tuple[Failure, datetime | None]:
        """Return the failure, and when the workflow last succeeded as far as is known."""
        filed = _failure(self._entries().get(self._sync_type))
        if self._connection is not None:
            try:
                row = sync_state.read(self._connection, self._sync_type)
                return _joined(_failure(row.metadata.get(_KEY)), filed), row.last_success_at
            except psycopg.Error:  # as where the schema is an old one
                self._connection = None
        return filed, None

    def write(self, failure: Failure) -> None:
        """Replace what is remembered.

        Raises:
            OSError: it is to be kept in the file, which cannot be written.
        """
        if self._connection is not None:
            try:
                sync_state.note(self._connection, self._sync_type, **{_KEY: _plain(failure)})
                failure = Failure()
            except psycopg.Error:  # as on a full disk
                self._connection = None
        self._write_file(_plain(failure))

    def _write_file(self, entry: JsonObject | None) -> None:
        known = self._entries()
        others = {key: value for key, value in known.items() if key != self._sync_type}
        entries = others if entry is None else {**others, self._sync_type: entry}
        if entries == known:
            return
        self._file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        draft.write_text(json.dumps(entries), encoding="utf-8")
        draft.replace(self._file)

    def _entries(self) -> JsonObject:
        with suppress(OSError, ValueError):
            content = json.loads(self._file.read_text(encoding="utf-8"))
            if isinstance(content, dict):
                return content
        return {}


def _joined(one: Failure, other: Failure) -> Failure:
    since = min(filter(None, (one.since, other.since)), default=None)
    return Failure(since, one.told_at or other.told_at)


def _failure(value: object) -> Failure:
    facts = value if isinstance(value, Mapping) else {}
    return Failure(read_cursor(facts.get("since")), read_cursor(facts.get("told_at")))


def _plain(failure: Failure) -> JsonObject | None:
    if failure == Failure():
        return None
    moments = {"since": failure.since, "told_at": failure.told_at}
    return {name: moment.isoformat() for name, moment in moments.items() if moment}
