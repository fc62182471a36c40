"""Locks: one run of each workflow at a time, on all hosts that share the database."""

from __future__ import annotations

import psycopg

from batch.errors import LockHeld
from sql import Connection
from sql.state.workflows import command_name, lock_key

LOCK_TIMEOUT_S = 2


def take_lock(connection: Connection, sync_type: str) -> None:
    """Take the workflow's lock for as long as the connection lives.

    PostgreSQL releases it when the session ends, also by kill -9 or a lost host.

    Raises:
        LockHeld: another run still holds it after LOCK_TIMEOUT_S.
    """
    try:
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'")
            connection.execute("SELECT pg_advisory_lock(%s, %s)", lock_key(sync_type))
    except psycopg.errors.LockNotAvailable:
        raise LockHeld(
            f"another run of {command_name(sync_type)} is under way on this database"
        ) from None
