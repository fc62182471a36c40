"""What the database knows of the installation's health: SQL, most of it in `sql.state`."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import sql
from readers.channels.store import count_channels
from sql.state.backlog import read_backlog, read_rejected
from sql.state.source import read_source
from sql.state.wishes import read_wishes
from sql.state.workflows import read_all, read_status
from website.rules.health import Facts, Others, Workflow

MOST_EVENTS = 20
MOST_COUNTED = 100_000


def read_facts(connection: sql.Connection, data_dir: Path, others: Others, now: datetime) -> Facts:
    wished = read_wishes(connection)
    return Facts(
        now=now,
        workflows=[
            Workflow(row, read_status(connection, row), row.sync_type in wished)
            for row in read_all(connection)
        ],
        source=read_source(connection),
        backlog=read_backlog(connection),
        rejected_events=read_rejected(connection, MOST_EVENTS),
        others=others,
        free_bytes=_free_bytes(data_dir),
        titles=_count(connection, "manga"),
        readers=_count(connection, "users"),
        channels=count_channels(connection),
    )


def _count(connection: sql.Connection, table: str) -> int:
    query = f"SELECT count(*) FROM (SELECT FROM {table} LIMIT {MOST_COUNTED}) AS counted"
    row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def _free_bytes(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
