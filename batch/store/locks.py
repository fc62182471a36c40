"""Locks: one run of each workflow at a time, on all hosts that share the database."""

from __future__ import annotations

import zlib

import psycopg

from batch.errors import LockHeld
from batch.models import command_name
from sql import Connection

_NAMESPACE = 0x6D68  # the first of the two numbers that make an advisory lock's key
LOCK_TIMEOUT_S = 2


def take_lock(connection: Connection, sync_type: str) -> None:
    """Take the workflow's lock for as long as the connection lives.

    PostgreSQL releases it when the session ends, also by kill -9 or a lost host.

    Raises:
        LockHeld: another run still holds it after LOCK_TIMEOUT_S.
    """
    key = zlib.crc32(sync_type.encode()) - 2**31
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
            connection.execute("SELECT pg_advisory_lock(%s, %s)", [_NAMESPACE, key])
    except psycopg.errors.LockNotAvailable:
        raise LockHeld(
            f"another run of {command_name(sync_type)} is under way on this database"
        ) from None


def is_running(connection: Connection, sync_type: str) -> bool:
    """Return whether some session holds the workflow's lock now."""
    key = (zlib.crc32(sync_type.encode()) - 2**31) % 2**32
    row = connection.execute(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
        " AND classid = %s AND objid = %s AND objsubid = 2"
        " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        [_NAMESPACE, key],
    ).fetchone()
    return bool(row and row[0])
