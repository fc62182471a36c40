"""Connecting to PostgreSQL, and the one place where psycopg's errors become this package's.

psycopg's own texts have several lines and the addresses tried; operators get one line that tells
a refused password from an unknown database, a wrong host name and a server that is starting.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from sql.errors import DatabaseDown, DatabaseUnwritable
from sql.urls import masked

Connection = psycopg.Connection[tuple[Any, ...]]

# Noticed within half a minute when the host vanishes without a word; a URL may say otherwise.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "client_encoding": "utf8",
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

# How values are written and read, how transactions see each other, and no limit of time but those
# that a program sets itself. A setting that the server does not have is passed over.
_PINNED = {
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
}

# What a failed connection's text contains → what the operator reads. The first match counts.
_REASONS = (
    (r"password authentication failed|no password supplied", "the password was refused"),
    (r"authentication failed|no pg_hba.conf entry|authentication method", "access was refused"),
    (r'role "[^"]*" does not exist', "the user does not exist there"),
    (r'database "[^"]*" does not exist', "the database does not exist there"),
    (r"starting up|not yet accepting|recovery mode", "the server is starting up"),
    (r"shutting down", "the server is shutting down"),
    (r"too many (clients|connections)|remaining connection slots", "it has no free connection"),
    (r"resolve|translate host|not known|nodename|[Nn]ame.*service", "the host name is unknown"),
    (r"refused", "nothing listens there"),
    (r"No such file or directory", "its socket does not exist"),
    (r"[Tt]imeout|timed out", "it does not answer"),
    (r"SSL|certificate", "the encrypted connection failed"),
)


def connect_arguments(url: str, application_name: str) -> dict[str, Any]:
    """Return keywords for psycopg or a psycopg pool; the URL's own parameters come first."""
    wanted = {**_DEFAULTS, "application_name": application_name}
    given = conninfo_to_dict(url)
    return {**{k: v for k, v in wanted.items() if k not in given}, "autocommit": True}


def pin_session(connection: Connection) -> None:
    """Give the session the settings of `_PINNED`, whatever server, database and role say."""
    connection.execute(
        "SELECT set_config(name, value, false)"
        " FROM unnest(%s::text[], %s::text[]) AS pinned (name, value)"
        " WHERE current_setting(name, true) <> value",
        [list(_PINNED), list(_PINNED.values())],
    )


def connect(url: str, application_name: str = "mangahub") -> Connection:
    """Return a new autocommit session with pinned settings.

    Raises:
        DatabaseDown: it cannot be reached, or does not let us in.
    """
    try:
        connection = psycopg.connect(url, **connect_arguments(url, application_name))
    except (psycopg.Error, UnicodeError) as exc:
        raise DatabaseDown(f"cannot connect to {masked(url)}: {_reason(exc, url)}") from None
    try:
        with translated():
            pin_session(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _reason(exc: Exception, url: str) -> str:
    text = str(exc)
    for pattern, reason in _REASONS:
        if re.search(pattern, text):
            return reason
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return masked(lines[-1]) if lines else type(exc).__name__


@contextmanager
def translated() -> Iterator[None]:
    """Turn a lost connection, a deadlock and a database that cannot store into our errors.

    Other errors of psycopg pass: they speak of the statement, and its author reacts to them.
    """
    try:
        yield
    except (errors.DiskFull, errors.ReadOnlySqlTransaction) as exc:
        raise DatabaseUnwritable(f"the database cannot store: {_first_line(exc)}") from exc
    except (errors.DeadlockDetected, errors.SerializationFailure) as exc:
        raise DatabaseDown(f"a conflict with another program: {_first_line(exc)}") from exc
    except psycopg.Error as exc:
        if not is_down(exc):
            raise
        raise DatabaseDown(f"the connection to the database was lost: {_first_line(exc)}") from exc


def is_down(exc: psycopg.Error) -> bool:
    """Return whether the server or the connection is gone, rather than the statement rejected."""
    if not isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    # Without a SQLSTATE the server had no say: libpq lost it. Class 08 is connections, 57P0x a
    # server that stops, starts or has crashed, 53300 one without a free place.
    state = exc.sqlstate
    return state is None or state.startswith(("08", "57P0")) or state == "53300"


def _first_line(exc: psycopg.Error) -> str:
    lines = str(exc).splitlines()
    return lines[0].strip() if lines else type(exc).__name__
