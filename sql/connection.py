"""Connecting to PostgreSQL, and translating psycopg's errors into this package's.

psycopg's own texts have several lines and the addresses tried; operators get one line that tells
apart a wrong password, an unknown database, a wrong host name and a starting server.
"""

from __future__ import annotations

import re
import select
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import errors
from psycopg.abc import Buffer
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.datetime import TimestamptzBinaryLoader, TimestamptzLoader

from sql.errors import DatabaseDown, DatabaseUnwritable, NoFreeConnection, one_line
from sql.surroundings import refuse_unsuitable
from sql.urls import blamed, masked

Connection = psycopg.Connection[tuple[Any, ...]]
AsyncConnection = psycopg.AsyncConnection[tuple[Any, ...]]

# Each end notices within half a minute that the other's host has vanished: ours by these, which a
# URL may override, the server's by those of PINNED.
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}

# A session's settings, whatever server, database, role and URL say. Those that the server lacks are
# skipped. `default_transaction_read_only` is not among them: a DBA who sets it, or a host that does
# when its disk is nearly full, means that nothing may be written.
PINNED = {
    # How values are written and read.
    "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "array_nulls": "on",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",
    # How transactions see each other, and that an error ends the statement alone.
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "exit_on_error": "off",
    "row_security": "on",
    # No timeouts except those that a program sets itself.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "transaction_timeout": "0",
    # Locks are released when their holder's host has vanished.
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_PIN = """
SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS pinned (name, value)
WHERE current_setting(name, true) <> value"""
# The schema on the search path that holds our tables becomes the first, so that missing tables are
# not looked for, or created, in one before it.
_PIN_SCHEMA = """
SELECT set_config('search_path', quote_ident(name) || ', ' || current_setting('search_path'), false)
FROM (SELECT name, place FROM unnest(current_schemas(false)) WITH ORDINALITY AS path (name, place)
      ORDER BY to_regclass(quote_ident(name) || '.sync_schema_migrations') IS NULL,
               to_regclass(quote_ident(name) || '.manga') IS NULL
                   OR to_regclass(quote_ident(name) || '.users') IS NULL, place
      LIMIT 1) AS ours
WHERE place > 1"""

_PIN_ALL = f"{_PIN} UNION ALL {_PIN_SCHEMA}".encode()

# The databases that this process, or the one that it was forked from, has checked.
_suitable: set[str] = set()

# Read in place of dates that Python cannot represent (infinity, the year 10000, BC).
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


class _AnyTimestamp(TimestamptzLoader):
    """Read every date, so that one bad row does not cost the others."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            text = bytes(data)
            return EARLIEST if text.startswith(b"-") or text.endswith(b"BC") else LATEST


class _AnyBinaryTimestamp(TimestamptzBinaryLoader):
    """The same for statements whose results are binary: microseconds from 2000 on."""

    def load(self, data: Buffer) -> datetime:
        try:
            return super().load(data)
        except psycopg.DataError:
            return EARLIEST if bytes(data)[0] & 0x80 else LATEST


_FIRST_ANSWER_S = 5.0
_NO_FREE = "it has no free connection"
# What a failed connection's text contains → what the operator reads. The first match counts.
_REASONS = (
    (r"password authentication failed|no password supplied", "the password was rejected"),
    (r"authentication failed|no pg_hba.conf entry|authentication method", "access was denied"),
    (r'role "[^"]*" does not exist', "the user does not exist there"),
    (r'database "[^"]*" does not exist', "the database does not exist there"),
    (r"starting up|not yet accepting|recovery mode", "the server is starting up"),
    (r"shutting down", "the server is shutting down"),
    (
        r"too many (clients|connections)|remaining connection slots|no more connections allowed",
        _NO_FREE,
    ),
    (r"resolve|translate host|not known|nodename|[Nn]ame.*service", "the host name is unknown"),
    (r"refused", "nothing listens there"),
    (r"No such file or directory", "its socket does not exist"),
    (r"[Tt]imeout|timed out", "it does not answer"),
    (r"SSL|certificate", "the encrypted connection failed"),
)

# Why a database that answers cannot store → the cure.
_UNWRITABLE: dict[type[psycopg.Error], str] = {
    errors.DiskFull: "free some space on its disk",
    errors.ReadOnlySqlTransaction: "set DATABASE_URL to the primary, or make it writable",
    errors.InsufficientPrivilege: "GRANT the role of DATABASE_URL what `mangahub-batch doctor`"
    " lists, or use the role that owns the tables",
}


def connect_arguments(url: str, application_name: str) -> dict[str, Any]:
    """Return keywords for psycopg or a psycopg pool; the URL's own parameters come first."""
    wanted = {**_DEFAULTS, "application_name": application_name}
    given = conninfo_to_dict(url)
    return {**{k: v for k, v in wanted.items() if k not in given}, "autocommit": True}


def pin_session(connection: Connection) -> None:
    """Give the session the settings of PINNED, and the schema that holds our tables.

    Also make it read dates that Python cannot hold as EARLIEST or LATEST.
    """
    _read_any_date(connection)
    connection.execute(_PIN_ALL, [list(PINNED), list(PINNED.values())])


def _read_any_date(connection: Connection | AsyncConnection) -> None:
    connection.adapters.register_loader("timestamptz", _AnyTimestamp)
    connection.adapters.register_loader("timestamptz", _AnyBinaryTimestamp)


def connect(url: str, application_name: str = "mangahub") -> Connection:
    """Return a new autocommit session with pinned settings.

    Raises:
        SettingError: no server can be reached by such a URL.
        DatabaseDown: it cannot be reached, or does not let us in.
        NoFreeConnection: there is no other session.
        Unsuitable: the programs cannot work with it.
    """
    connection = _open(url, application_name)
    try:
        with translated():
            if url not in _suitable:
                refuse_unsuitable(connection, lambda: _open(url, application_name))
                _suitable.add(url)
            pin_session(connection)
    except BaseException:
        connection.close()
        raise
    return connection


async def connect_async(url: str, application_name: str) -> AsyncConnection:
    """Return a new autocommit session with pinned settings, for asyncio.

    Raises:
        SettingError, DatabaseDown, NoFreeConnection: as `connect`.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(
            url, **connect_arguments(url, application_name)
        )
    except (psycopg.Error, UnicodeError) as exc:
        raise _refusal(exc, url) from None
    try:
        with translated():
            _read_any_date(connection)
            await connection.execute(_PIN_ALL, [list(PINNED), list(PINNED.values())])
    except BaseException:
        await connection.close()
        raise
    return connection


def _open(url: str, application_name: str) -> Connection:
    try:
        connection = psycopg.connect(url, **connect_arguments(url, application_name))
    except (psycopg.Error, UnicodeError) as exc:
        raise _refusal(exc, url) from None
    if not _has_session(connection):
        connection.close()
        raise NoFreeConnection(f"cannot connect to {masked(url)}: {_NO_FREE}")
    return connection


def _has_session(connection: Connection) -> bool:
    """Return whether statements are answered: a pooler lets in more clients than have sessions."""
    connection.pgconn.send_query(b"")
    is_answered = bool(select.select([connection], [], [], _FIRST_ANSWER_S)[0])
    while is_answered and connection.pgconn.get_result():
        pass
    return is_answered


def _refusal(exc: Exception, url: str) -> Exception:
    """Return our error for one of connecting."""
    if bad_setting := blamed(exc, url):
        return bad_setting
    reason = _reason(exc, url)
    kind = NoFreeConnection if reason == _NO_FREE else DatabaseDown
    return kind(f"cannot connect to {masked(url)}: {reason}")


def _reason(exc: Exception, url: str) -> str:
    text = str(exc)
    for pattern, reason in _REASONS:
        if re.search(pattern, text):
            return reason
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return masked(lines[-1]) if lines else type(exc).__name__


@contextmanager
def translated() -> Iterator[None]:
    """Turn a lost connection, a deadlock and a database that does not store into our errors.

    Other errors of psycopg pass: they speak of the statement, and its author reacts to them.
    """
    try:
        yield
    except tuple(_UNWRITABLE) as exc:
        if isinstance(exc, errors.InsufficientPrivilege) and exc.diag.context:
            raise  # a trigger's, which is about the row
        cure = next(cure for kind, cure in _UNWRITABLE.items() if isinstance(exc, kind))
        raise DatabaseUnwritable(f"the database cannot store: {one_line(exc)}: {cure}") from exc
    except (errors.DeadlockDetected, errors.SerializationFailure) as exc:
        raise DatabaseDown(f"a conflict with another program: {one_line(exc)}") from exc
    except psycopg.Error as exc:
        if not is_down(exc):
            raise
        raise DatabaseDown(f"the connection to the database was lost: {one_line(exc)}") from exc


def is_down(exc: psycopg.Error) -> bool:
    """Return whether the server or the connection is gone, rather than the statement rejected."""
    if not isinstance(exc, psycopg.OperationalError | psycopg.InterfaceError):
        return False
    # Without a SQLSTATE libpq lost the server. Class 08 is connections, 57P0x a server that stops,
    # starts or has crashed, 53300 one without a free connection.
    state = exc.sqlstate
    return state is None or state.startswith(("08", "57P0")) or state == "53300"
