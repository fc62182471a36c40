"""Refuses surroundings that cannot work: a database in another encoding, a transaction pooler.

A pooler in transaction or statement mode gives each transaction whichever session is free: a lock
then belongs to no client, or to another one, and notifications reach other listeners.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import psycopg
from psycopg.pq import ExecStatus

from sql.errors import NoFreeConnection, Unsuitable

_Session = psycopg.Connection[tuple[Any, ...]]


def refuse_unsuitable(session: _Session, open_another: Callable[[], _Session]) -> None:
    """Check that the programs can work with the new session's database and server.

    Raises:
        Unsuitable: they cannot.
    """
    info = session.info
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise Unsuitable(
            f"the database {info.dbname} has the encoding {encoding}, which cannot store all"
            " titles: make one with ENCODING 'UTF8' TEMPLATE template0, and dump and restore into"
            " it"
        )
    if _shares_sessions(session, open_another):
        raise Unsuitable(
            f"a pooler answers at {info.host}:{info.port} and gives each transaction another"
            " session: set it to session mode (pool_mode = session), or name PostgreSQL itself in"
            " DATABASE_URL"
        )


def _shares_sessions(session: _Session, open_another: Callable[[], _Session]) -> bool:
    """Return whether the transaction of another client gets the session of an idle one."""
    pid = _read_pid(session)
    if pid == session.info.backend_pid:
        return False  # no pooler: each client has its own backend
    try:
        other = open_another()
    except NoFreeConnection:
        return False  # it has no session left, and so shares none
    with closing(other):
        found = other.pgconn.exec_(b"BEGIN; SELECT pg_backend_pid()")
        if found.status != ExecStatus.TUPLES_OK:
            return True  # statement mode has no transactions
        return found.get_value(0, 0) == str(pid).encode() or _read_pid(session) != pid


def _read_pid(session: _Session) -> int:
    row = session.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])
